"""Runs that are interrupted twice or whose terminal is closed, and runs that outlive their terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import fault_models
from tests.support.forks import Forked, Started
from tests.support.gated_runs import SLOW, errors_in, wait_for_all_to_end
from tests.support.runs import HARNESS, records, run, start, wait_for, workers
from tests.support.terminal import disown, ignore_hang_ups, take_terminal

pytestmark = pytest.mark.usefixtures("gated_suite")


COMMAND = [*HARNESS, "suite.yaml", "--nproc", "2", "--placement", "ddp"]


def slow_run(before: Callable[[], object] | None = None) -> Started:
    """Start a run that trains slowly; return it when its second epoch is over."""
    Path("suite.yaml").write_text(SLOW, encoding="utf-8")
    fault_models.SLOW.touch()
    process = Started(COMMAND, before=before)
    wait_for(process, "epoch 2/30")
    return process


def assert_goes_on() -> None:
    """Assert that the slow run's trial goes on from where it was and ends."""
    fault_models.SLOW.unlink()
    assert "epoch 1/30" not in run("suite.yaml", "--nproc", "2", "--placement", "ddp")
    (record,) = records().values()
    assert len(record.epochs) == 30


def test_a_second_interrupt_loses_nothing(tmp_path: Path) -> None:
    process = slow_run()
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)  # as fast as one can
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    (error,) = errors_in(output)
    assert error.startswith("error: interrupted by SIGINT")
    wait_for_all_to_end(tmp_path)
    assert_goes_on()


def slow_run_in_a_terminal(before: Callable[[], object]) -> Forked:
    """Start a run that trains slowly in a terminal of its own; close that when its second epoch is over."""
    Path("suite.yaml").write_text(SLOW, encoding="utf-8")
    fault_models.SLOW.touch()
    ours, theirs = os.openpty()
    process = Forked(COMMAND, theirs, before=before)
    os.close(theirs)
    seen = b""
    while b"epoch 2/30" not in seen:
        seen += os.read(ours, 65536)  # an error where the run has ended
    os.close(ours)
    return process


def test_a_terminal_that_is_closed_ends_the_run_in_order(tmp_path: Path) -> None:
    process = slow_run_in_a_terminal(take_terminal)
    assert process.wait(timeout=120) == 128 + signal.SIGHUP
    wait_for_all_to_end(tmp_path)
    assert_goes_on()


def test_a_run_that_was_disowned_outlives_its_terminal() -> None:
    process = slow_run_in_a_terminal(disown)
    fault_models.SLOW.unlink()
    assert process.wait(timeout=120) == 0
    (record,) = records().values()
    assert record.status == "done"
    assert not record.attempts


def test_a_run_that_ignores_hang_ups_outlives_its_terminal() -> None:
    process = slow_run(ignore_hang_ups)
    for pid in (process.pid, *workers(process)):
        os.kill(pid, signal.SIGHUP)
    fault_models.SLOW.unlink()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert [record.status for record in records().values()] == ["done"]


# One trial is done and one diverges, so that the exit code tells the records from a broken pipe.
MIXED = """\
suite: small
title: A small suite
table: {figures: false}
dataset: {name: kmnist_sample, resize: 8}
seeds: 1
common: {model: {name: mlp, hidden: [8], dropout: 0.0}, training: {epochs: 2, batch_size: 600}}
experiments:
  good: {training: {optimizer: {name: Adam, lr: 0.01}}}
  wild: {training: {optimizer: {name: SGD, lr: 1.0e+30}}}
"""


def assert_mixed() -> None:
    """Assert that the mixed suite's trials ended as they do, and are in a table."""
    assert {name: record.status for name, record in records().items()} == {
        "good 1": "done",
        "wild 1": "diverged",
    }
    assert Path("results/small/table.md").exists()


def test_a_run_that_starts_without_streams_ends_as_its_trials_do() -> None:
    Path("suite.yaml").write_text(MIXED, encoding="utf-8")
    command = f"exec {' '.join(HARNESS)} suite.yaml --nproc 1 --no-calibrate >&- 2>&-"
    assert subprocess.run(["bash", "-c", command], check=False, timeout=300).returncode == 1
    assert_mixed()


def test_a_run_whose_reader_leaves_ends_as_its_trials_do() -> None:
    Path("suite.yaml").write_text(MIXED, encoding="utf-8")
    process = start("suite.yaml", "--nproc", "2", "--no-calibrate")
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=300) == 1
    assert_mixed()
