"""Who holds a lease: how it is named, and when it is known to be dead."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.config.suite import Trial
from harness.results.lease_owner import LeaseOwner, this_process
from harness.results.store import Store
from tests.support import ROOT


@pytest.mark.parametrize(
    ("earlier", "later", "is_outlived"),
    [
        ({"run": "a", "start": [0, 3]}, {"run": "a", "start": [1, 0]}, True),  # torchrun started it again
        ({"run": "a", "start": [1, 0]}, {"run": "a", "start": [1, 0]}, False),  # another rank of it
        ({"job": "7", "job_restart": 0}, {"job": "7", "job_restart": 1}, True),  # the job was requeued
        ({"job": "7", "job_restart": 0}, {"job": "8", "job_restart": 1}, False),
        ({"job": "7", "process": 2**22 + 1}, {"job": "7"}, True),  # two commands in one job
        ({"process": 2**22 + 1}, {}, True),  # no such process on this machine
        ({"started": "1"}, {}, True),  # another process has its number now
        ({}, {}, False),
        ({"process": 2**22 + 1, "machine": "another"}, {}, False),  # nothing is known of it
        ({"process": 2**22 + 1, "machine": ""}, {"machine": ""}, False),
    ],
)
def test_who_is_known_to_be_dead_is_not_waited_for(
    earlier: dict[str, Any], later: dict[str, Any], is_outlived: bool
) -> None:
    owner = this_process("one", [0, 0], {}).model_copy(update=earlier)
    other = this_process("two", [0, 0], {}).model_copy(update=later)
    assert owner.is_outlived_by(other) == is_outlived


def test_a_killed_process_is_known_to_be_dead(store: Store, trial: Trial, runs: Any, tmp_path: Path) -> None:
    code = """
import os, sys, signal
from pathlib import Path
from harness.results.lease import Leases
from harness.results.lease_owner import this_process
from harness.results.store import Store
from tests.support.records import suite_of
leases = Leases(Store(Path(sys.argv[1])), this_process("dead", [0, 0], {}))
leases.take(next(suite_of(Path(sys.argv[2])).trials()))
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code, store.root, tmp_path], cwd=ROOT, check=False)
    lease = runs("two").take(trial)
    assert lease is not None
    assert lease.before.run == "dead"


def test_the_holder_says_who_it_is(trial: Trial) -> None:
    env = {"SLURM_JOB_ID": "17", "SLURM_CLUSTER_NAME": "local", "SLURM_RESTART_COUNT": "2"}
    owner: LeaseOwner = this_process("one", [1, 2], env).model_copy(update={"host": "n1", "process": 5})
    assert str(owner) == "job local:17, process 5 on n1"
    assert owner.job_restart == 2
