"""Whole runs as users start them: small suites, starting and waiting, what they left."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.config.loader import load_suite
from harness.results.record import Record
from harness.results.store import Store
from tests.support import ROOT, fault_models, forks
from tests.support.forks import Started, ranks_of
from tests.support.report_files import is_of_report

Running = subprocess.Popen[str] | Started
HARNESS = [sys.executable, "-m", "harness"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]

SUITE = """\
suite: small
title: A small suite
table: {figures: false}  # they take most of a second
dataset: {name: kmnist_sample, resize: 8}
seeds: 2
common:
  training:
    epochs: 2
    batch_size: 1500
    precision: fp64
    optimizer: {name: Adam, lr: 0.01}
experiments:
  mixer: {model: {name: patch_mixer, patch_size: 4, width: 12, hidden: [8]}}
  mlp: {model: {name: mlp, hidden: [16], dropout: 0.2}}
"""
ONE_TRIAL = SUITE.replace("seeds: 2", "seeds: 1").partition("  mlp")[0]
# The same that takes half a second an epoch, and hardly computes, as long as there is a file `slow`.
LONG = re.sub("{name: patch_mixer.*}}", "{name: 'tests.support.fault_models:slow_mixer'}}", ONE_TRIAL)
LONG = LONG.replace("epochs: 2", "epochs: 12")


def run(*arguments: str, code: int = 0) -> str:
    """Run the harness to its end, in a process that was forked; return what it printed on both streams."""
    found, output = forks.finished([*HARNESS, *arguments], seconds=300)
    assert found == code, output
    return output


def torchrun(*arguments: str, code: int = 0) -> str:
    """Run torchrun to its end, in a process that was forked; return what it printed on both streams."""
    found, output = forks.finished([*TORCHRUN, *arguments], seconds=300)
    assert found == code, output
    return output


def start(*arguments: str, starter: Sequence[str] = HARNESS) -> Started:
    """Start a run, in a process that was forked."""
    return Started([*starter, *arguments])


def start_anew(*arguments: str, starter: Sequence[str] = HARNESS) -> subprocess.Popen[str]:
    """Start a run as a shell does: its command line is its own, and Python begins there."""
    return subprocess.Popen(
        [*starter, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )


def wait_for(process: Running, text: str) -> None:
    """Read what the process prints until `text` is in a line."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return
    raise AssertionError(f"no {text!r} in {''.join(seen)}")


def workers(process: Running) -> list[int]:
    """Return the process numbers of a launcher's ranks."""
    if isinstance(process, Started):
        return ranks_of(process.pid)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if children.exists():
        return [int(pid) for pid in children.read_text(encoding="utf-8").split()]
    listed = subprocess.run(
        ["ps", "--ppid", str(process.pid), "-o", "pid="], capture_output=True, text=True, check=True
    )
    return [int(pid) for pid in listed.stdout.split()]


def records(folder: str = "results") -> dict[str, Record]:
    """Load all records of a folder of results."""
    return {
        f"{path.parent.name} {path.name.split('-')[1]}": Record.from_json(path.read_text(encoding="utf-8"))
        for path in sorted(Path(folder).glob("*/*/seed-*.json"))
    }


def table(folder: str = "results") -> str:
    """Return the small suite's table as it is printed: without the pictures that stand under it."""
    text = (Path(folder) / "small" / "table.md").read_text(encoding="utf-8")
    return text.partition("\n![")[0]


def figures(folder: str = "results") -> dict[str, list[float]]:
    """Return what all trials found, without times."""
    return {
        name: [value for epoch in record.epochs for value in epoch.reproducible.values()]
        for name, record in records(folder).items()
    }


def undisturbed(folder: Path, cache: Path, suite: str, *arguments: str) -> dict[str, list[float]]:
    """Return what a suite finds when nothing disturbs its run in an empty folder."""
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("XDG_CACHE_HOME", str(cache))
        Path("suite.yaml").write_text(suite, encoding="utf-8")
        run("suite.yaml", *arguments)
        return figures()


def assert_equal(found: dict[str, list[float]], expected: dict[str, list[float]]) -> None:
    """Assert that the same trials found the same, to 1e-9."""
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, rel=1e-9, abs=0), name


def files() -> list[str]:
    """List all that stands in the results of the small suite, but its report and the user's code."""
    return sorted(
        path.relative_to("results/small").as_posix()
        for path in Path("results").rglob("*")
        if path.is_file() and not is_of_report(path) and ".code" not in path.parts
    )


def name_of_record() -> str:
    """Return how the record of the suite's only trial is called."""
    (trial,) = load_suite(Path("suite.yaml")).trials()
    return Store(Path()).record_path(trial).relative_to("small").as_posix()


def start_long(*arguments: str, timeless: bool = False, anew: bool = False) -> Running:
    """Start the long suite, or one that never ends; return its run when its second epoch is over."""
    text = LONG.replace("epochs: 12", "epochs: 100000") if timeless else LONG
    Path("suite.yaml").write_text(text, encoding="utf-8")
    fault_models.SLOW.touch()
    process = (start_anew if anew else start)("suite.yaml", *arguments)
    wait_for(process, "epoch 2/")
    return process
