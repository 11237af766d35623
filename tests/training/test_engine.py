"""Engines: a captured trial finds what an eager one finds, also after an interruption."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.training import optim, prepared_trial
from harness.training.engine import USES_BEFORE, WARM_UP_STEPS, Eager, Graph
from harness.training.engine_choice import engine_for
from harness.training.graph_capture import CudaRecorder, Work
from harness.training.prepared_trial import prepare
from tests.support.calls import Calls
from tests.support.ranks import ALONE
from tests.support.traced import TracingRecorder
from tests.support.trials import (
    CONVNET,
    MIXER,
    MLP,
    figures,
    figures_alone,
    interrupted,
    resident,
    small_trial,
    train,
)

pytestmark = pytest.mark.usefixtures("not_spoiled")

SGD = {"name": "SGD", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.001}
ADAM = {"name": "Adam", "lr": 0.01, "weight_decay": 0.001}
STEPS = {"name": "StepLR", "step_size": 3, "gamma": 0.5}


# Every optimizer with one of them: test_training_settings.
@pytest.mark.parametrize(
    ("model", "algorithm"), [(MIXER, ADAM), (CONVNET, SGD), (MLP, ADAM)], ids=lambda each: each["name"]
)
def test_a_captured_trial_finds_what_an_eager_one_finds(
    model: dict[str, Any], algorithm: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    trial = small_trial(model, epochs=4, optimizer=algorithm, scheduler=STEPS)
    eager = figures_alone(trial, tmp_path / "eager")
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

    monkeypatch.setattr(
        prepared_trial, "engine_for", lambda step, _, tell, **__: Graph(step, Counting(step), tell)
    )
    trial = small_trial(epochs=4, scheduler=STEPS)
    figures_alone(trial, tmp_path / "one", Calls(on_step=lambda number, loss: steps.append(number)))
    # An epoch has five batches of 16 and one of 10, then one of evaluation; the rate changes after the third.
    assert recorded == [WARM_UP_STEPS + 1, 18 + USES_BEFORE]


def test_a_rate_that_is_a_tensor_may_change_each_epoch_and_each_cut_is_recorded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: list[Work] = []

    class Counting(TracingRecorder):
        def record(self, work: Work) -> tuple[Callable[[], None], torch.Tensor]:
            recorded.append(work)
            left = torch.zeros(())

            def replay() -> None:
                left.copy_(work())

            return replay, left

    monkeypatch.setattr(
        prepared_trial, "engine_for", lambda step, _, tell, **__: Graph(step, Counting(step), tell)
    )
    trial = small_trial(MLP, precision="fp32", epochs=12, scheduler={"name": "ExponentialLR", "gamma": 0.9})
    numbers = train(trial, resident(trial, ALONE), ALONE, tmp_path / "numbers")
    assert len(recorded) == 10  # whole batches, in each epoch after the warm-up; others come once an epoch
    recorded.clear()
    monkeypatch.setattr(optim, "_reads_rate_from_tensor", lambda parameter: True)
    tensors = train(trial, resident(trial, ALONE), ALONE, tmp_path / "tensors")
    assert len(recorded) == 3  # whole batches, the last one, evaluation
    assert [each.engine for each in (numbers, tensors)] == ["graph", "graph"]
    assert [each.lr for each in tensors.epochs] == [each.lr for each in numbers.epochs]  # exact, not float32
    assert figures(tensors.epochs)[:20] == pytest.approx(figures(numbers.epochs)[:20], rel=1e-4)


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_a_rate_that_is_a_tensor_is_taken_by_every_engine_and_after_an_interruption(
    name: str, tmp_path: Path, graphs: list[Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = small_trial(
        precision="fp32",
        epochs=4,
        optimizer={"name": name, "lr": 0.01},
        scheduler={"name": "ExponentialLR", "gamma": 0.3},
    )
    with monkeypatch.context() as by_tensor:
        by_tensor.setattr(optim, "_reads_rate_from_tensor", lambda parameter: True)
        graph = interrupted(ALONE, trial, str(tmp_path / "graph"), 0)
        with by_tensor.context() as eagerly:
            eagerly.setattr(prepared_trial, "engine_for", engine_for)
            assert interrupted(ALONE, trial, str(tmp_path / "eager"), 0) == graph
            interrupted(ALONE, trial, str(tmp_path / "parts"), 2)
        assert interrupted(ALONE, trial, str(tmp_path / "parts"), 0) == graph
        interrupted(ALONE, trial, str(tmp_path / "elsewhere"), 2)
    on_numbers = interrupted(ALONE, trial, str(tmp_path / "elsewhere"), 0)
    assert on_numbers == pytest.approx(graph, rel=1e-4)


@pytest.mark.e2e
def test_an_interrupted_trial_ends_as_one_in_one_go_whichever_engine_goes_on(
    tmp_path: Path, graphs: list[Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = small_trial(precision="fp32", epochs=6, scheduler=STEPS)
    whole = interrupted(ALONE, trial, str(tmp_path / "whole"), 0)
    interrupted(ALONE, trial, str(tmp_path / "parts"), 3)
    with monkeypatch.context() as eagerly:
        eagerly.setattr(prepared_trial, "engine_for", engine_for)
        interrupted(ALONE, trial, str(tmp_path / "parts"), 5)
    assert interrupted(ALONE, trial, str(tmp_path / "parts"), 0) == whole
    assert [each.name for each in graphs] == ["graph"] * 3


def test_a_trial_leaves_no_graph_to_the_next_one_on_its_stream(
    tmp_path: Path, graphs: list[Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    most: list[int] = []
    close = Graph.close

    def closing(self: Graph) -> None:
        most.append(len(self._recordings))
        close(self)

    monkeypatch.setattr(Graph, "close", closing)
    figures_alone(small_trial(epochs=4), tmp_path / "one")
    assert most[-1] == 3
    assert not graphs[0]._recordings


def test_a_warning_of_rehearsals_is_shown_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.get_sync_debug_mode", lambda: 0)
    monkeypatch.setattr("torch.cuda.set_sync_debug_mode", lambda mode: None)

    def work() -> torch.Tensor:
        warnings.warn("a made-up warning", UserWarning, stacklevel=1)
        return torch.zeros(())

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(11):
            assert CudaRecorder().rehearse(work)[1] is None
    assert [str(each.message) for each in caught] == ["a made-up warning"]


def test_a_cpu_executes_eagerly() -> None:
    trial = small_trial()
    assert isinstance(prepare(trial, resident(trial, ALONE), ALONE).engine, Eager)
