"""What cannot be captured, or breaks in a capture, is executed eagerly, and the user is told why."""

from __future__ import annotations

import contextlib
import gc
import math
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness.config.suite import Trial
from harness.training import device, prepared_trial
from harness.training.distributed import ProcessGroup
from harness.training.engine import CaptureError, Eager, Graph
from harness.training.engine_choice import engine_for
from harness.training.graph_capture import Work
from harness.training.prepared_trial import prepare
from harness.training.step import Step
from tests.support.calls import Calls
from tests.support.ranks import ALONE, run_ranks
from tests.support.traced import TracingRecorder
from tests.support.trials import figures, figures_alone, resident, small_trial, train

pytestmark = pytest.mark.usefixtures("not_spoiled")


def test_what_a_rehearsal_finds_is_executed_eagerly_from_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Waiting(TracingRecorder):
        def rehearse(self, work: Work) -> tuple[torch.Tensor, str | None]:
            return work(), "the host waits"

        def record(self, work: Work) -> Any:
            raise AssertionError("not to be recorded")

    trial, notes = small_trial(epochs=3), list[str]()
    eager = figures_alone(trial, tmp_path / "eager")
    monkeypatch.setattr(
        prepared_trial, "engine_for", lambda step, _, tell, **__: Graph(step, Waiting(step), tell)
    )
    assert figures_alone(trial, tmp_path / "graph", Calls(on_note=notes.append)) == eager
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

    setattr(prepared_trial, "engine_for", lambda step, _, tell, **__: Graph(step, Other(step), tell))  # noqa: B010
    notes: list[str] = []
    try:
        outcome = train(
            trial, resident(trial, world), world, Path(folder) / "one", Calls(on_note=notes.append)
        )
    except CaptureError as error:
        return "none", [str(error)], device.is_spoiled()
    return outcome.engine, notes, device.is_spoiled()


@pytest.mark.e2e
def test_an_obstacle_of_one_rank_has_all_fall_back(tmp_path: Path) -> None:
    said = "engine: eager, because this trial cannot be captured: "
    for found, reason in zip(
        run_ranks(2, one_rank_cannot, small_trial(), str(tmp_path), "waits"),
        ("another rank cannot", "the host waits"),
        strict=True,
    ):
        assert found == ("eager", [said + reason], False)


@pytest.mark.e2e
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
    eager = figures_alone(trial, tmp_path / "eager")
    monkeypatch.setattr(
        prepared_trial, "engine_for", lambda step, _, tell, **__: Graph(step, Breaking(step), tell)
    )
    with pytest.raises(torch.OutOfMemoryError) if is_raised else contextlib.nullcontext():
        assert figures_alone(trial, tmp_path / "graph", Calls(on_note=notes.append)) == eager
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

    monkeypatch.setattr(prepared_trial, "engine_for", full)
    gc.disable()
    with contextlib.suppress(torch.OutOfMemoryError):
        figures_alone(small_trial(epochs=3), tmp_path / "one")
    gc.enable()
    assert made[0]() is None


def test_nothing_is_captured_after_a_broken_capture_of_another_trial(
    tmp_path: Path, graphs: list[Graph]
) -> None:
    device.spoil()
    notes: list[str] = []
    trial = small_trial(epochs=3)
    outcome = train(trial, resident(trial, ALONE), ALONE, tmp_path / "one", Calls(on_note=notes.append))
    assert (outcome.engine, outcome.has_broken_capture) == ("eager", False)
    assert len(notes) == 1
    assert notes[0].endswith("a capture of another trial broke in this process")


def test_ddp_with_unused_parameters_is_not_captured() -> None:
    notes: list[str] = []
    trial = small_trial()
    step = prepare(trial, resident(trial, ALONE), ALONE).step
    assert isinstance(engine_for(step, "graph", notes.append, full_batch=16, has_unused=True), Graph)
    step.shard.world = ProcessGroup(0, 2, torch.device("cpu"))
    assert isinstance(engine_for(step, "graph", notes.append, full_batch=16, has_unused=True), Eager)
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
    trial = small_trial({"name": "tests.training.test_capture_failures:branching"}, epochs=3)
    eager = figures_alone(trial, tmp_path / "eager")
    request.getfixturevalue("graphs")
    notes: list[str] = []
    path = tmp_path / "graph"
    outcome = train(trial, resident(trial, ALONE), ALONE, path, Calls(on_note=notes.append))
    assert outcome.engine == "eager"
    assert figures(outcome.epochs) == eager
    assert len(notes) == 1
    assert notes[0].startswith("engine: eager, because this trial cannot be captured: ")
