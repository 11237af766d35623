"""Engines: what is captured computes what is executed, and what cannot be captured is executed."""

from __future__ import annotations

import contextlib
import gc
import math
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness.config.suite import Trial
from harness.training import device, optim, trainer
from harness.training.distributed import ProcessGroup, alone
from harness.training.engine import USES_BEFORE, WARM_UP_STEPS, CaptureError, Eager, Graph, engine_for
from harness.training.graph_capture import CudaRecorder, Work
from harness.training.step import Step
from harness.training.trainer import Callbacks, prepare
from tests.support.ranks import run_ranks
from tests.support.traced import TracingRecorder
from tests.support.trials import CONVNET, MIXER, MLP, figures, interrupted, resident, small_trial, train

ALONE = alone(torch.device("cpu"))
SGD = {"name": "SGD", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.001}
ADAM = {"name": "Adam", "lr": 0.01, "weight_decay": 0.001}
STEPS = {"name": "StepLR", "step_size": 3, "gamma": 0.5}


@pytest.fixture(autouse=True)
def _not_spoiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no test's broken capture spoil the process for others."""
    monkeypatch.setattr(device._Process, "is_spoiled", False)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[Graph]:
    """Have every trial executed as traced graphs; return their engines."""
    made: list[Graph] = []

    def traced(step: Step, requested: object, tell: Callable[[str], None], **_: object) -> Graph:
        made.append(Graph(step, TracingRecorder(step), tell))
        return made[-1]

    monkeypatch.setattr(trainer, "engine_for", traced)
    return made


def found(trial: Trial, path: Path, watcher: Callbacks | None = None) -> list[float]:
    """Train the trial alone; return its figures."""
    return figures(train(trial, resident(trial, ALONE), ALONE, path, watcher).epochs)


@pytest.mark.parametrize(
    "algorithm", [SGD, ADAM, {"name": "RMSprop", "lr": 0.01}], ids=lambda each: each["name"]
)
@pytest.mark.parametrize("model", [MIXER, CONVNET, MLP], ids=lambda each: each["name"])
def test_a_captured_trial_finds_what_an_eager_one_finds(
    model: dict[str, Any], algorithm: dict[str, Any], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    trial = small_trial(model, epochs=4, optimizer=algorithm, scheduler=STEPS)
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

    monkeypatch.setattr(trainer, "engine_for", lambda step, _, tell, **__: Graph(step, Counting(step), tell))
    trial = small_trial(epochs=4, scheduler=STEPS)
    found(trial, tmp_path / "one", Callbacks(on_step=lambda number, loss: steps.append(number)))
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

    monkeypatch.setattr(trainer, "engine_for", lambda step, _, tell, **__: Graph(step, Counting(step), tell))
    trial = small_trial(precision="fp32", epochs=50, scheduler={"name": "ExponentialLR", "gamma": 0.9})
    numbers = train(trial, resident(trial, ALONE), ALONE, tmp_path / "numbers")
    assert len(recorded) == 48  # whole batches, in each epoch after the warm-up; others come once an epoch
    recorded.clear()
    monkeypatch.setattr(optim, "_reads_rate_from_tensor", lambda parameter: True)
    tensors = train(trial, resident(trial, ALONE), ALONE, tmp_path / "tensors")
    assert len(recorded) == 3  # whole batches, the last one, evaluation
    assert [each.engine for each in (numbers, tensors)] == ["graph", "graph"]
    assert [each.lr for each in tensors.epochs] == [each.lr for each in numbers.epochs]  # exact, not float32
    assert figures(tensors.epochs)[:20] == pytest.approx(figures(numbers.epochs)[:20], rel=1e-4)


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
            eagerly.setattr(trainer, "engine_for", engine_for)
            assert interrupted(ALONE, trial, str(tmp_path / "eager"), 0) == graph
            interrupted(ALONE, trial, str(tmp_path / "parts"), 2)
        assert interrupted(ALONE, trial, str(tmp_path / "parts"), 0) == graph
        interrupted(ALONE, trial, str(tmp_path / "elsewhere"), 2)
    on_numbers = interrupted(ALONE, trial, str(tmp_path / "elsewhere"), 0)
    assert on_numbers == pytest.approx(graph, rel=1e-4)


def test_an_interrupted_trial_ends_as_one_in_one_go_whichever_engine_goes_on(
    tmp_path: Path, graphs: list[Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = small_trial(precision="fp32", epochs=6, scheduler=STEPS)
    whole = interrupted(ALONE, trial, str(tmp_path / "whole"), 0)
    interrupted(ALONE, trial, str(tmp_path / "parts"), 3)
    with monkeypatch.context() as eagerly:
        eagerly.setattr(trainer, "engine_for", engine_for)
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
    monkeypatch.setattr(trainer, "engine_for", lambda step, _, tell, **__: Graph(step, Waiting(step), tell))
    assert found(trial, tmp_path / "graph", Callbacks(on_note=notes.append)) == eager
    assert notes == ["engine: eager, because this trial cannot be captured: the host waits"]


def one_rank_cannot(world: ProcessGroup, trial: Trial, folder: str, how: str) -> tuple[str, list[str], bool]:
    """Train where rank 1 finds an obstacle or breaks a capture; return the engine and what is known then."""
    torch.set_num_threads(1)

    class Other(TracingRecorder):
        def rehearse(self, work: Work) -> tuple[torch.Tensor, str | None]:
            return work(), "the host waits" if how == "waits" and world.rank == 1 else None

        def record(self, work: Work) -> Any:
            assert how == "breaks"
            if world.rank == 1:
                raise RuntimeError("a made-up break")
            return lambda: None, torch.zeros(())

    setattr(trainer, "engine_for", lambda step, _, tell, **__: Graph(step, Other(step), tell))  # noqa: B010
    notes: list[str] = []
    try:
        outcome = train(
            trial, resident(trial, world), world, Path(folder) / "one", Callbacks(on_note=notes.append)
        )
    except CaptureError as error:
        return "none", [str(error)], device.is_spoiled()
    return outcome.engine, notes, device.is_spoiled()


def test_an_obstacle_of_one_rank_has_all_fall_back(tmp_path: Path) -> None:
    said = "engine: eager, because this trial cannot be captured: "
    for found, reason in zip(
        run_ranks(2, one_rank_cannot, small_trial(), str(tmp_path), "waits"),
        ("another rank cannot", "the host waits"),
        strict=True,
    ):
        assert found == ("eager", [said + reason], False)


def test_a_capture_that_breaks_on_one_rank_ends_the_trial_on_all_in_this_process(tmp_path: Path) -> None:
    said = "engine: eager, because this trial cannot be captured: "
    for found, reason in zip(
        run_ranks(2, one_rank_cannot, small_trial(epochs=3), str(tmp_path), "breaks"),
        ("another rank cannot", "a made-up break"),
        strict=True,
    ):
        assert found == ("none", [said + reason], True)


@pytest.mark.parametrize(
    ("error", "is_raised"),
    [(RuntimeError("a made-up break"), False), (torch.OutOfMemoryError("a made-up lack of memory"), True)],
)
def test_a_capture_that_breaks_is_executed_eagerly_and_one_that_lacks_memory_ends_the_trial(
    error: RuntimeError, is_raised: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Breaking(TracingRecorder):
        def record(self, work: Work) -> Any:
            raise error

    trial, notes = small_trial(epochs=3), list[str]()
    eager = found(trial, tmp_path / "eager")
    monkeypatch.setattr(trainer, "engine_for", lambda step, _, tell, **__: Graph(step, Breaking(step), tell))
    with pytest.raises(torch.OutOfMemoryError) if is_raised else contextlib.nullcontext():
        assert found(trial, tmp_path / "graph", Callbacks(on_note=notes.append)) == eager
        assert notes == ["engine: eager, because this trial cannot be captured: a made-up break"]
    assert device.is_spoiled() != is_raised  # torch ends a capture in order that runs out of memory


def test_a_capture_that_lacks_memory_keeps_none_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[Step]] = []

    class Full(TracingRecorder):
        def record(self, work: Work) -> Any:
            raise torch.OutOfMemoryError("a made-up lack of memory")

    def full(step: Step, _: object, tell: Callable[[str], None], **__: object) -> Graph:
        made.append(weakref.ref(step))
        return Graph(step, Full(step), tell)

    monkeypatch.setattr(trainer, "engine_for", full)
    gc.disable()
    with contextlib.suppress(torch.OutOfMemoryError):
        found(small_trial(epochs=3), tmp_path / "one")
    gc.enable()
    assert made[0]() is None


def test_nothing_is_captured_after_a_broken_capture_of_another_trial(
    tmp_path: Path, graphs: list[Graph]
) -> None:
    device.spoil()
    notes: list[str] = []
    trial = small_trial(epochs=3)
    outcome = train(trial, resident(trial, ALONE), ALONE, tmp_path / "one", Callbacks(on_note=notes.append))
    assert (outcome.engine, outcome.has_broken_capture) == ("eager", False)
    assert len(notes) == 1
    assert notes[0].endswith("a capture of another trial broke in this process")


def test_a_trial_leaves_no_graph_to_the_next_one_on_its_stream(
    tmp_path: Path, graphs: list[Graph], monkeypatch: pytest.MonkeyPatch
) -> None:
    most: list[int] = []
    close = Graph.close

    def closing(self: Graph) -> None:
        most.append(len(self._recordings))
        close(self)

    monkeypatch.setattr(Graph, "close", closing)
    found(small_trial(epochs=4), tmp_path / "one")
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


def test_ddp_with_unused_parameters_is_not_captured() -> None:
    notes: list[str] = []
    trial = small_trial()
    step = prepare(trial, resident(trial, ALONE), ALONE).step
    assert isinstance(engine_for(step, "graph", notes.append, has_unused=True), Graph)
    step.cut.world = ProcessGroup(0, 2, torch.device("cpu"))
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
    trial = small_trial({"name": "tests.training.test_engine:branching"}, epochs=3)
    eager = found(trial, tmp_path / "eager")
    request.getfixturevalue("graphs")
    notes: list[str] = []
    path = tmp_path / "graph"
    outcome = train(trial, resident(trial, ALONE), ALONE, path, Callbacks(on_note=notes.append))
    assert outcome.engine == "eager"
    assert figures(outcome.epochs) == eager
    assert len(notes) == 1
    assert notes[0].startswith("engine: eager, because this trial cannot be captured: ")


def test_a_cpu_executes_eagerly() -> None:
    trial = small_trial()
    assert isinstance(prepare(trial, resident(trial, ALONE), ALONE).engine, Eager)
