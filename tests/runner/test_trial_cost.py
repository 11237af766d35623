"""What a trial costs beside its training, counted: how often the training thread waits for others."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.store_operations import Counting
from harness.config.loader import load_suite
from harness.results.user_code_hash import UserCodes
from harness.runner.heartbeat import Heartbeat
from harness.runner.rank import work
from harness.runner.request import Request
from harness.training import layers
from harness.training.distributed import RunRanks
from harness.training.key_value_store import KeyValueStore
from tests.support.runs import SUITE

TINY = SUITE.partition("  mixer")[0] + "  mlp: {model: {name: mlp, hidden: [16], dropout: 0.2}}\n"


def counted(folder: Path, trials: int, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Train so many trials in this process; count what is asked for while they are trained."""
    counts: Counter[str] = Counter()
    lock = threading.Lock()

    def counting(name: str, function: Callable[..., Any] = lambda *_: None) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            thread = "training" if threading.current_thread() is threading.main_thread() else "other"
            with lock:
                counts[f"{thread}: {name}"] += 1
            return function(*arguments)

        return call

    def stop(heartbeat: Heartbeat) -> None:
        before = counts.copy()
        stop_heartbeat(heartbeat)
        counts.clear()  # of what it shows at the end, by the time
        counts.update(before)

    stop_heartbeat = Heartbeat.stop
    folder.mkdir()
    (folder / "suite.yaml").write_text(TINY.replace("epochs: 2", "epochs: 1"), encoding="utf-8")
    suite = load_suite(folder / "suite.yaml").model_copy(update={"seeds": list(range(1, trials + 1))})
    request = Request([suite], results=folder / "results", calibrate=False)
    request.store.save_suite(suite)
    store: Any = Counting({}, lock)
    for name in ("set", "get", "multi_get", "check", "add"):
        setattr(store, name, counting("store", getattr(store, name)))
    run_ranks = RunRanks(store, 0, 0, 1, torch.device("cpu"), KeyValueStore(store), [1, 0])
    with monkeypatch.context() as patch:
        patch.setattr(Heartbeat, "stop", stop)
        patch.setattr("os.fsync", counting("fsync"))
        patch.setattr(layers, "_modules", counting("scan", layers._modules))
        assert work(request, run_ranks, {"XDG_CACHE_HOME": str(folder / "cache")}, UserCodes())
    assert [request.store.find(trial).state for trial in request.trials] == ["done"] * trials
    return counts


@pytest.mark.e2e
def test_what_a_trial_costs_beside_its_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, two, five = (counted(tmp_path / str(trials), trials, monkeypatch) for trials in (1, 2, 5))
    a_trial = {name: (five[name] - two[name]) / 3 for name in five}
    del a_trial["other: store"]  # the heartbeat's, by the time
    assert a_trial == {
        "training: fsync": 0,
        "training: scan": 1,
        "training: store": 10,  # 4 of them by the scheduler, before and after all trials
        "other: fsync": 2,  # the record and its folder
    }
