"""Work beside the training: one piece at a time, no error lost, a record durable before its lease goes."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed as dist

from benchmarks.store_operations import Counting, heartbeat_of
from harness.config.loader import load_suite
from harness.config.suite import Trial
from harness.results.user_code_hash import UserCodes
from harness.runner import heartbeat, keys
from harness.runner.background import Background
from harness.runner.rank import work
from harness.runner.request import Request
from harness.training import trainer
from harness.training.distributed import RunRanks
from harness.training.key_value_store import KeyValueStore
from harness.training.prepared_trial import PreparedTrial, prepare
from tests.support.runs import SUITE

SECONDS = 60.0  # only a test that fails waits so long


def test_an_error_is_raised_once_and_the_next_piece_is_done_all_the_same() -> None:
    background, done = Background(), []
    assert not background.has_failed
    background.submit(lambda: done.append(1 / 0))
    with pytest.raises(ZeroDivisionError):
        background.submit(lambda: done.append(1))
    background.finish()
    assert done == [1]
    assert not background.has_failed


def test_a_rank_stops_where_a_record_could_not_be_saved() -> None:
    heart = heartbeat_of(Counting({}, threading.Lock()), 0, 1)
    heart.background.submit(lambda: print(1 / 0))
    heart.background.close(SECONDS)
    assert heart.background.has_failed
    assert heart.is_stopping


def test_a_rank_that_restarts_waits_for_the_record_that_is_being_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heart, gate, done = heartbeat_of(Counting({}, threading.Lock()), 0, 1), threading.Event(), []
    close = heart.background.close

    def opened(timeout_seconds: float) -> None:
        gate.set()
        close(timeout_seconds)

    for name in ("HARNESS_GENERATION", "HARNESS_START", "HARNESS_FOLDER"):
        monkeypatch.setenv(name, "0" if name != "HARNESS_FOLDER" else os.getcwd())
    monkeypatch.setattr(heartbeat, "_close_files_at_exec", lambda: None)
    monkeypatch.setattr("os.execv", lambda *_: done.append("restarted"))
    monkeypatch.setattr(heart.background, "close", opened)
    heart.background.submit(lambda: done.append("written") if gate.wait(SECONDS) else None)
    heart.restart_together()
    assert done == ["written", "restarted"]


def test_a_record_is_durable_before_its_lease_goes_while_the_next_trial_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE.replace("epochs: 2", "epochs: 1"), encoding="utf-8")
    suite = load_suite(tmp_path / "suite.yaml")
    request = Request([suite], only=["mlp"], results=tmp_path / "results", calibrate=False)
    first, second = request.trials
    reached = threading.Event()
    synced: list[tuple[bool, bool, bool]] = []

    def prepared(trial: Trial, *arguments: Any) -> PreparedTrial:
        if trial == second:
            reached.set()
        return prepare(trial, *arguments)

    def fsync(_: int) -> None:
        if threading.current_thread().name.startswith("records") and len(synced) < 2:
            is_next_trained, is_leased = reached.wait(SECONDS), request.store.lease_path(first, 1).exists()
            told = [run_ranks.get(keys.event(number)) or "" for number in range(10)]
            synced.append((is_next_trained, is_leased, any('"kind": "epoch"' in each for each in told)))

    request.store.save_suite(suite)
    monkeypatch.setattr(trainer, "prepare", prepared)
    monkeypatch.setattr("os.fsync", fsync)
    run = KeyValueStore(dist.HashStore())  # type: ignore[attr-defined]
    run_ranks = RunRanks(dist.HashStore(), 0, 0, 1, torch.device("cpu"), run, [1, 0])  # type: ignore[attr-defined]
    assert work(request, run_ranks, {"XDG_CACHE_HOME": str(tmp_path / "cache")}, UserCodes())
    assert synced == [(True, True, False)] * 2  # the record and its folder: its epoch is told afterwards
    assert [request.store.find(trial).state for trial in request.trials] == ["done", "done"]
    assert not list(request.results.rglob("*.claim-*"))
    # Had the second one ended the process meanwhile, the first would not have been to blame.
    assert run.get(keys.spared(1, first.key)) is not None
