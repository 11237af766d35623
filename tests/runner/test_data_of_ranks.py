"""Ranks and restarts of one run train on the same data, or not at all."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
from torch import distributed as dist

from harness.errors import DataError
from harness.runner.trial_runner import TrialRunner
from harness.training.key_value_store import KeyValueStore
from tests.support.trials import small_trial

OLD, NEW = "a" * 64, "b" * 64


class Start(KeyValueStore):
    """One start of a run: its own store, and the one that all starts share."""

    def __init__(self, run: KeyValueStore) -> None:
        super().__init__(dist.HashStore())  # type: ignore[attr-defined]
        object.__setattr__(self, "run", run)


def check(start: Start, digest: str, expected: str = "") -> None:
    trial = dataclasses.replace(small_trial(), data_digest=expected)
    heartbeat = SimpleNamespace(wait=lambda ready: ready() or pytest.fail("waits for ever"))
    runner: Any = SimpleNamespace(run_ranks=start, heartbeat=heartbeat)
    TrialRunner._check_data(runner, trial, digest)


@pytest.fixture
def run() -> KeyValueStore:
    return KeyValueStore(dist.HashStore())  # type: ignore[attr-defined]


def test_the_first_rank_decides(run: KeyValueStore) -> None:
    start = Start(run)
    check(start, NEW)
    check(start, NEW)
    with pytest.raises(DataError, match=r"found data with the digest aaaaaaaa… on .*, bbbbbbbb…; give all"):
        check(start, OLD)


def test_data_that_change_before_a_restart_end_the_run(run: KeyValueStore) -> None:
    check(Start(run), NEW)
    check(Start(run), NEW)
    with pytest.raises(DataError, match="expected those with which the run began"):
        check(Start(run), OLD)


def test_what_the_launcher_found_counts(run: KeyValueStore) -> None:
    with pytest.raises(DataError, match="aaaaaaaa"):
        check(Start(run), OLD, expected=NEW)
