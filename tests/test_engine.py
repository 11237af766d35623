"""Engines: what is captured computes what is executed, and what cannot be captured is executed."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness.suite import Trial
from harness.training import loop
from harness.training.engine import WARM_UP_STEPS, Eager, Graph, engine_for
from harness.training.loop import Watcher, prepare
from harness.training.recorder import Work
from harness.training.step import Step
from harness.training.world import World, alone
from tests.test_training_ranks import CONVNET, MLP, figures, interrupted
from tests.traced import TracingRecorder
from tests.trials import MIXER, resident, small_trial, train

ALONE = alone(torch.device("cpu"))
SGD = {"name": "SGD", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.001}
ADAM = {"name": "Adam", "lr": 0.01, "weight_decay": 0.001}
STEPS = {"name": "StepLR", "step_size": 3, "gamma": 0.5}


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[Graph]:
    """Have every trial executed as traced graphs; return their engines."""
    made: list[Graph] = []

    def traced(step: Step, requested: object, tell: Callable[[str], None], **_: object) -> Graph:
        made.append(Graph(step, TracingRecorder(step), tell))
        return made[-1]

    monkeypatch.setattr(loop, "engine_for", traced)
    return made


def found(trial: Trial, path: Path, watcher: Watcher | None = None) -> list[float]:
    """Train the trial alone; return its figures."""
    return figures(train(trial, resident(trial, ALONE), ALONE, path, watcher).epochs)


@pytest.mark.parametrize(
    "optimizer", [SGD, ADAM, {"name": "RMSprop", "lr": 0.01}], ids=lambda each: each["name"]
)
@pytest.mark.parametrize("model", [MIXER, CONVNET, MLP], ids=lambda each: each["name"])
def test_a_captured_trial_finds_what_an_eager_one_finds(
    model: dict[str, Any], optimizer: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    trial = small_trial(model, epochs=4, optimizer=optimizer, scheduler=STEPS)
    eager = found(trial, tmp_path / "eager")
    (tmp_path / "graph").mkdir()
    request.getfixturevalue("graphs")
    outcome = train(trial, resident(trial, ALONE), ALONE, tmp_path / "graph" / "one")
    assert outcome.engine == "graph"
    assert figures(outcome.epochs) == pytest.approx(eager, rel=1e-12, abs=0)


def test_graphs_are_recorded_after_a_warm_up_for_every_cut_and_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: list[int] = []
    steps: list[int] = []

    class Counting(TracingRecorder):
        def record(self, work: Work) -> Any:
            recorded.append(len(steps))
            return super().record(work)

    monkeypatch.setattr(loop, "engine_for", lambda step, _, tell, **__: Graph(step, Counting(step), tell))
    trial = small_trial(epochs=4, scheduler=STEPS)
    found(trial, tmp_path / "one", Watcher(on_step=lambda number, loss: steps.append(number)))
    # An epoch has five batches of 16 and one of 10, then one of evaluation; the rate changes after the third.
    assert recorded == [WARM_UP_STEPS, 12, 12, 18, 23, 24]


def test_an_interrupted_trial_ends_as_one_in_one_go_whichever_engine_goes_on(
    tmp_path: Path, graphs: list[Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = small_trial(precision="fp32", epochs=6, scheduler=STEPS)
    whole = interrupted(ALONE, trial, str(tmp_path / "whole"), 0)
    interrupted(ALONE, trial, str(tmp_path / "parts"), 3)
    with monkeypatch.context() as eagerly:
        eagerly.setattr(loop, "engine_for", engine_for)
        interrupted(ALONE, trial, str(tmp_path / "parts"), 5)
    assert interrupted(ALONE, trial, str(tmp_path / "parts"), 0) == whole
    assert [each.name for each in graphs] == ["graph"] * 3


def test_what_a_rehearsal_finds_is_executed_eagerly_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Waiting(TracingRecorder):
        def rehearse(self, work: Work) -> tuple[torch.Tensor, str | None]:
            return work(), "the host waits"

        def record(self, work: Work) -> Any:
            raise AssertionError("not to be recorded")

    trial, notes = small_trial(epochs=3), list[str]()
    eager = found(trial, tmp_path / "eager")
    monkeypatch.setattr(loop, "engine_for", lambda step, _, tell, **__: Graph(step, Waiting(step), tell))
    assert found(trial, tmp_path / "graph", Watcher(on_note=notes.append)) == eager
    assert notes == ["engine: eager, because this trial cannot be captured: the host waits"]


def test_ranks_do_not_fall_back_one_by_one(tmp_path: Path) -> None:
    class Failing(TracingRecorder):
        def record(self, work: Work) -> Any:
            raise RuntimeError("out of memory")

    trial = small_trial(epochs=3)
    trainee = prepare(trial, resident(trial, ALONE), ALONE)
    two = World(0, 2, torch.device("cpu"))
    graph = Graph(trainee.step, Failing(trainee.step), print)
    share = next(trainee.step.data.train.train_shares(1, 1, 16, ALONE))
    for _ in range(WARM_UP_STEPS):
        graph.train(share)
    trainee.step.cut.world = two
    with pytest.raises(RuntimeError, match="out of memory"):
        graph.train(share)


def test_ddp_with_unused_parameters_is_not_captured() -> None:
    notes: list[str] = []
    trial = small_trial()
    step = prepare(trial, resident(trial, ALONE), ALONE).step
    assert isinstance(engine_for(step, "graph", notes.append, has_unused=True), Graph)
    step.cut.world = World(0, 2, torch.device("cpu"))
    assert isinstance(engine_for(step, "graph", notes.append, has_unused=True), Eager)
    assert notes == ["engine: eager, because DDP cannot be captured where parameters get no gradient"]


class _Branching(nn.Module):
    """Goes another way with the data, which a graph cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.linear(x.flatten(1))
        return out * 2 if bool(self.linear.bias.sum() > math.inf) else out


def branching(image_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """Build a net that cannot be captured."""
    return _Branching()


def test_what_cannot_be_captured_is_executed_and_said_once(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    trial = small_trial({"name": "tests.test_engine:branching"}, epochs=3)
    eager = found(trial, tmp_path / "eager")
    request.getfixturevalue("graphs")
    notes: list[str] = []
    path = tmp_path / "graph"
    outcome = train(trial, resident(trial, ALONE), ALONE, path, Watcher(on_note=notes.append))
    assert outcome.engine == "eager"
    assert figures(outcome.epochs) == eager
    assert len(notes) == 1
    assert notes[0].startswith("engine: eager, because this trial cannot be captured: ")


def test_a_cpu_executes_eagerly() -> None:
    trial = small_trial()
    assert isinstance(prepare(trial, resident(trial, ALONE), ALONE).engine, Eager)
