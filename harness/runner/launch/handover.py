"""Handover of suites to the ranks of a run and their restarts, which never read a suite's file themselves.

Rank 0 leaves them in the store of the run, which restarts read. Those of `harness run` come to it in a
temporary file; under bare torchrun it reads them itself. A SLURM job that is queued again has them in a file.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, MutableMapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness import environment
from harness.config import resolved, suite_file
from harness.config.suite import Suite
from harness.errors import HarnessError, LostRankError, UsageError
from harness.results.atomic_files import write_whole

if TYPE_CHECKING:
    from harness.training.device_choice import SharedStore

_KEY, _MISTAKE = "suites", "suites/mistake"
_PART = 2**20  # characters in one value of a store, which takes 8 MiB
_POLL_SECONDS = 0.05


@contextlib.contextmanager
def handed_over(suites: Sequence[Suite], env: MutableMapping[str, str]) -> Iterator[None]:
    """Have the ranks that are started meanwhile train these suites; raise UsageError if that cannot be."""
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="harness-"))
            path = Path(folder) / "suites.json"
            path.write_text(resolved.frozen(suites), encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"found no room for the suites that the ranks train: {error.filename}: {error.strerror}; "
                "expected a folder for temporary files, make room or name one by TMPDIR"
            ) from None
        env[environment.SUITES] = str(path)
        stack.callback(env.pop, environment.SUITES, None)
        yield


def edited(suites: Iterable[Suite], known: Container[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield the folders of suites whose file says something else by now, each with a sentence about it."""
    for suite in suites:
        if suite.folder not in known and suite_file.is_edited(suite):
            yield (
                suite.folder,
                f"{suite_file.shown(suite)} has been edited: this run trains and shows {suite.folder} as "
                "it was when it was started or submitted; run it again for what the file says now",
            )


def suites_to_train(
    read: Callable[[], list[Suite]], env: Mapping[str, str], timeout_seconds: float
) -> list[Suite]:
    """Return what `read` returns, once for all ranks of a run and their restarts.

    Raise on every rank what it raises, and LostRankError where rank 0 does not come.
    """
    if "TORCHELASTIC_RUN_ID" not in env:
        return read()
    if environment.SUITES in env and environment.LAUNCHED in env:
        read = partial(_left, Path(env[environment.SUITES]))
    elif path := env.get(environment.JOB_SUITES):
        read = partial(_of_job, Path(path), read)
    if env.get("TORCHELASTIC_USE_AGENT_STORE") != "True":  # rank 0 would serve the store, and take it along
        return read()
    from harness.training.distributed import run_store

    suites = agreed(read, run_store(env, timeout_seconds), timeout_seconds, is_rank_zero=env["RANK"] == "0")
    if env["RANK"] == "0" and environment.SUITES in env:
        with contextlib.suppress(
            OSError
        ):  # a killed command leaves nothing behind; its own end removes the rest
            Path(env[environment.SUITES]).unlink()
    return suites


def _left(path: Path) -> list[Suite]:
    return resolved.thawed(path.read_text(encoding="utf-8"))


def _of_job(path: Path, read: Callable[[], list[Suite]]) -> list[Suite]:
    """Return what the first start of a SLURM job has read."""
    if path.exists():
        return _left(path)
    suites = read()
    write_whole(path, resolved.frozen(suites).encode())
    return suites


def agreed(
    read: Callable[[], list[Suite]], store: SharedStore, timeout_seconds: float, *, is_rank_zero: bool
) -> list[Suite]:
    """Return what rank 0 has read at the first start."""
    if is_rank_zero and store.get(_KEY) is None:
        try:
            text = resolved.frozen(read())
        except HarnessError as error:
            store.set(_MISTAKE, str(error))
            raise
        parts = [text[start : start + _PART] for start in range(0, len(text), _PART)]
        for number, part in enumerate(parts):
            store.set(f"{_KEY}/{number}", part)
        store.set(_KEY, str(len(parts)))
    deadline = time.monotonic() + timeout_seconds
    while (count := store.get(_KEY)) is None:
        if mistake := store.get(_MISTAKE):
            raise UsageError(mistake)
        if time.monotonic() > deadline:
            raise LostRankError(f"rank 0 did not say which suites to train within {timeout_seconds:.0f} s")
        time.sleep(_POLL_SECONDS)
    return resolved.thawed("".join(store.get(f"{_KEY}/{number}") or "" for number in range(int(count))))
