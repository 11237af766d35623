"""A rank's parts are put together, and train, without torchrun."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import distributed as dist

from harness.config.loader import load_suite
from harness.results.user_code_hash import UserCodes
from harness.runner import keys
from harness.runner.rank import work
from harness.runner.request import Request
from harness.training.distributed import RunRanks
from harness.training.key_value_store import KeyValueStore
from tests.support.runs import SUITE


def test_a_rank_trains_a_suite_over_any_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE, encoding="utf-8")
    suite = load_suite(tmp_path / "suite.yaml")
    request = Request(
        [suite], only=["mlp"], results=tmp_path / "results", placement="spread", calibrate=False
    )
    store, run = dist.HashStore(), KeyValueStore(dist.HashStore())  # type: ignore[attr-defined]
    run_ranks = RunRanks(store, 0, 0, 1, torch.device("cpu"), run, [1, 0])
    request.store.save_suite(suite)
    assert work(request, run_ranks, {"XDG_CACHE_HOME": str(tmp_path / "cache")}, UserCodes())
    assert [request.store.find(trial).state for trial in request.trials] == ["done", "done"]
    assert run.get(keys.RUN_ID)
    assert [run_ranks.get(keys.ended(trial.key)) for trial in request.trials] == ["done", "done"]
    assert capsys.readouterr().out.count("done, test") == 2
