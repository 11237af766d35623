"""Handover of suites to a run's ranks and their restarts, which never read suite files.

Rank 0 puts the suites into the run's store, where restarts read them. `harness run` passes them to rank 0 in
a temporary file; under bare torchrun rank 0 reads the suite files. A SLURM job keeps them in a file for when
it is requeued.
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
    """Pass these suites to the ranks started meanwhile; raise UsageError if they cannot be written."""
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="harness-"))
            path = Path(folder) / "suites.json"
            path.write_text(resolved.frozen(suites), encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"{error.filename}: the suites for the ranks cannot be written: {error.strerror}; expected a "
                "folder for temporary files: make room, or name one by TMPDIR"
            ) from None
        env[environment.SUITES] = str(path)
        stack.callback(env.pop, environment.SUITES, None)
        yield


def edited(suites: Iterable[Suite], known: Container[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield the folder of each suite whose file has changed since it was read, with a sentence about it."""
    for suite in suites:
        if suite.folder not in known and suite_file.is_edited(suite):
            yield (
                suite.folder,
                f"{suite_file.shown(suite)} has been edited: this run trains and reports {suite.folder} "
                "as it was at the start; run the edited file in a new run",
            )


def suites_to_train(
    read: Callable[[], list[Suite]], env: Mapping[str, str], timeout_seconds: float
) -> list[Suite]:
    """Return what `read` returns, once for all ranks of a run and their restarts.

    Errors of `read` are raised on every rank. Raise LostRankError if rank 0 does not answer.
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
