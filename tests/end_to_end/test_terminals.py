"""Runs that are interrupted twice or whose terminal is closed, and runs that outlive their terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import fault_models
from tests.support.gated_runs import SLOW, errors_in, wait_for_all_to_end
from tests.support.runs import HARNESS, records, run, wait_for, workers

pytestmark = pytest.mark.usefixtures("gated_suite")


def slow_run(*command: str) -> subprocess.Popen[str]:
    """Start a run that trains slowly; return it when its second epoch is over."""
    Path("suite.yaml").write_text(SLOW, encoding="utf-8")
    fault_models.SLOW.touch()
    process = subprocess.Popen(
        [*command, *HARNESS, "suite.yaml", "--nproc", "2", "--placement", "ddp"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
    )
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


IN_A_TERMINAL = """\
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
if sys.argv[1] == "deaf":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def slow_run_in_a_terminal(hearing: str) -> subprocess.Popen[bytes]:
    """Start a run that trains slowly in a terminal of its own; close that when its second epoch is over."""
    Path("suite.yaml").write_text(SLOW, encoding="utf-8")
    fault_models.SLOW.touch()
    ours, theirs = os.openpty()
    command = [sys.executable, "-c", IN_A_TERMINAL, hearing, *HARNESS, "suite.yaml"]
    command += ["--nproc", "2", "--placement", "ddp"]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    seen = b""
    while b"epoch 2/30" not in seen:
        seen += os.read(ours, 65536)  # an error where the run has ended
    os.close(ours)
    return process


def test_a_terminal_that_is_closed_ends_the_run_in_order(tmp_path: Path) -> None:
    process = slow_run_in_a_terminal("hearing")
    assert process.wait(timeout=120) == 128 + signal.SIGHUP
    wait_for_all_to_end(tmp_path)
    assert_goes_on()


def test_a_run_that_was_disowned_outlives_its_terminal() -> None:
    process = slow_run_in_a_terminal("deaf")
    fault_models.SLOW.unlink()
    assert process.wait(timeout=120) == 0
    (record,) = records().values()
    assert record.status == "done"
    assert not record.attempts


def test_a_run_that_ignores_hang_ups_outlives_its_terminal() -> None:
    process = slow_run("nohup")
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


@pytest.mark.parametrize("output", [">&- 2>&-", "2>&1 | head -n 1"])
def test_a_run_ends_as_its_trials_do_whoever_reads(output: str) -> None:
    Path("suite.yaml").write_text(MIXED, encoding="utf-8")
    command = f"{' '.join(HARNESS)} suite.yaml --nproc 2 --no-calibrate {output}\nexit ${{PIPESTATUS[0]}}"
    assert subprocess.run(["bash", "-c", command], check=False, timeout=300).returncode == 1
    assert {name: record.status for name, record in records().items()} == {
        "good 1": "done",
        "wild 1": "diverged",
    }
    assert Path("results/small/table.md").exists()
