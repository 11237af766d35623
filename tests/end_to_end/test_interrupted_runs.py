"""Runs that a user interrupts, and runs of which a rank hangs."""

from __future__ import annotations

import os
import signal

import pytest

from tests.support import fault_models
from tests.support.runs import files, records, run, start_long, workers

pytestmark = pytest.mark.usefixtures("small_suite")


def test_an_interrupted_run_saves_where_it_is_and_goes_on() -> None:
    process = start_long("--nproc", "2", "--placement", "ddp")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "interrupted by SIGINT: everything finished is saved" in output
    assert "Traceback" not in output
    assert [name.split(".")[-1] for name in files()[:2]] == ["checkpoint-1", "checkpoint-2"]
    fault_models.SLOW.unlink()
    resumed = run("suite.yaml")
    assert "epoch 1/12" not in resumed
    assert "taken over" not in resumed  # the claim was given up


def test_a_rank_that_hangs_ends_in_a_recorded_failure() -> None:
    process = start_long("--nproc", "2", "--placement", "ddp", "--timeout", "4", timeless=True)
    hanging = workers(process)[-1]
    os.kill(hanging, signal.SIGSTOP)
    process.communicate(timeout=200)
    assert process.returncode == 1
    (record,) = records().values()
    assert record.status == "failed"
    assert "(--timeout)" in record.attempts[0].error
