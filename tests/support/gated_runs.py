"""Runs whose trial waits in its second epoch until a test lets it go on."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from harness.config.loader import load_suite
from harness.config.suite import Trial
from harness.results.procfs import stat
from tests.support import fault_models
from tests.support.forks import Started
from tests.support.runs import Running, start

GATED = """\
suite: small
title: A small suite
table: {figures: false}  # they take most of a second
dataset: {name: kmnist_sample, resize: 4}
seeds: 1
common:
  training: {epochs: 3, batch_size: 600, precision: fp64, optimizer: {name: Adam, lr: 0.01}}
experiments:
  gated: {model: {name: 'tests.support.fault_models:gated'}}
"""


DRAWN = "".join(line for line in GATED.splitlines(keepends=True) if "figures" not in line)
SLOW = GATED.replace("gated", "slow").replace("epochs: 3", "epochs: 30")


def wait_until(is_so: Callable[[], object], process: Running) -> None:
    """Poll until something is so; fail where the process ends before, or after minutes."""
    deadline = time.monotonic() + 200
    while not is_so():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"never so; the process said:\n{process.communicate()[0]}")
        time.sleep(0.02)


def wait_for_beats(lease: Path, number: int, process: Running) -> None:
    """Poll until the holder of a claim, which beats ten times within --stale-after, has done so so often."""
    seen: set[bytes] = set()

    def are_enough() -> bool:
        with contextlib.suppress(FileNotFoundError):  # of a holder that was ended and has started again
            seen.add(lease.read_bytes())
        return len(seen) > number

    wait_until(are_enough, process)


def gated_run(*arguments: str) -> Started:
    """Start a run of the suite; return it when its trial waits in the second epoch."""
    process = start("suite.yaml", *arguments)
    wait_until(fault_models.REACHED.exists, process)
    return process


def ended(process: Running, code: int) -> str:
    """Let a waiting trial go on; return what its run has said when it has ended."""
    fault_models.OPEN.touch()
    output, _ = process.communicate(timeout=200)
    assert process.returncode == code, output
    return output


def errors_in(output: str) -> list[str]:
    """Return the messages of errors, of which none is a traceback."""
    assert "Traceback" not in output, output
    return [line for line in output.splitlines() if line.startswith("error: ")]


def contents(folder: Path | str = "results") -> dict[str, bytes]:
    """Return all files of a folder of results with their contents."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def trial_of_suite() -> Trial:
    """Return the suite's only trial."""
    (trial,) = load_suite(Path("suite.yaml")).trials()
    return trial


def processes_of(folder: Path) -> list[int]:
    """List the living processes whose working folder is this one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if path.readlink() == folder and stat(int(path.parent.name)):
                found.append(int(path.parent.name))
    return [pid for pid in found if pid != os.getpid()]


def wait_for_all_to_end(folder: Path) -> None:
    """Poll until no process is left that worked in the folder."""
    deadline = time.monotonic() + 60
    while left := processes_of(folder):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
