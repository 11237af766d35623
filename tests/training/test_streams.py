"""Several trials at once on one device: turns, lanes, and that it changes nothing."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.config.suite import Trial
from harness.training import streams
from harness.training.streams import TrialSteps, take_turns
from harness.training.trainer import Outcome, step_by_step
from tests.support.calls import Calls
from tests.support.ranks import ALONE, CPU
from tests.support.trials import CONVNET, MIXER, MLP, places, resident, small_trial, train


def course(name: str, turns: int, log: list[str]) -> Generator[None, None, None]:
    for number in range(turns):
        log.append(f"{name}{number}")
        yield
    log.append(f"{name} ends")


def asked_for(courses: Iterable[tuple[str, int]], log: list[str]) -> Iterator[TrialSteps]:
    """Yield courses of so many turns, and log when they are asked for."""
    for name, turns in courses:
        log.append(f"{name}?")
        yield course(name, turns, log)


def test_courses_take_turns_and_the_next_is_asked_for_when_a_lane_is_free() -> None:
    log: list[str] = []
    take_turns(asked_for([("a", 3), ("b", 1), ("c", 2)], log), lambda: 2, CPU)
    assert log == ["a?", "b?", "a0", "b0", "a1", "b ends", "c?", "a2", "c0", "a ends", "c1", "c ends"]


def test_one_lane_is_one_after_the_other() -> None:
    log: list[str] = []
    take_turns(asked_for([("a", 2), ("b", 0), ("c", 1)], log), lambda: 1, CPU)
    assert log == ["a?", "a0", "a1", "a ends", "b?", "b ends", "c?", "c0", "c ends"]


def test_more_lanes_than_courses_ask_for_no_more() -> None:
    log: list[str] = []
    take_turns(asked_for([("a", 1), ("b", 1)], log), lambda: 8, CPU)
    assert log == ["a?", "b?", "a0", "b0", "a ends", "b ends"]


def test_never_more_courses_than_lanes_are_under_way() -> None:
    log: list[str] = []
    take_turns(asked_for([(name, turns) for turns, name in enumerate("abcdefgh", 1)], log), lambda: 3, CPU)
    changes = [each.endswith("?") - each.endswith(" ends") for each in log]
    under_way = list(itertools.accumulate(changes))
    assert max(under_way) == 3
    assert under_way[-1] == 0


def test_an_exception_of_a_course_is_not_swallowed() -> None:
    def breaks() -> TrialSteps:
        yield
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        take_turns(iter([course("a", 5, []), breaks()]), lambda: 2, CPU)


def found(outcome: Outcome) -> tuple[list[dict[str, Any]], list[list[float]]]:
    """Return the figures of all epochs and the final weights, without times."""
    figures = [epoch.model_dump(exclude={"train_seconds", "eval_seconds"}) for epoch in outcome.epochs]
    return figures, [tensor.flatten().tolist() for tensor in outcome.model.state_dict().values()]


@pytest.mark.e2e
def test_several_trials_at_once_find_exactly_what_each_finds_alone(tmp_path: Path) -> None:
    trials = {
        f"{name}-{seed}": small_trial(model, seed, epochs=epochs)
        for seed, epochs in ((3, 2), (4, 3))
        for name, model in (("mixer", MIXER), ("convnet", CONVNET), ("mlp", MLP))
    }
    data = resident(next(iter(trials.values())), ALONE)
    at_once: dict[str, Outcome] = {}

    def one_of_several(name: str, trial: Trial) -> Generator[None, None, None]:
        where = places(tmp_path / f"{name}.at-once")
        outcome = yield from step_by_step(trial, data, ALONE, where, Calls(), None)
        assert outcome is not None
        at_once[name] = outcome

    take_turns((one_of_several(name, trial) for name, trial in trials.items()), lambda: 3, CPU)
    for name, trial in trials.items():
        alone = train(trial, data, ALONE, tmp_path / f"{name}.alone")
        assert len(alone.epochs) == trial.settings.training.epochs
        assert found(at_once[name]) == found(alone), name


def test_a_place_keeps_its_stream_for_as_long_as_the_process_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream:
        made = 0

        def __init__(self, device: torch.device) -> None:
            Stream.made += 1

        def wait_stream(self, other: object) -> None:
            pass

    monkeypatch.setattr("torch.cuda.Stream", Stream)
    monkeypatch.setattr("torch.cuda.current_stream", lambda device: None)
    monkeypatch.setattr("torch.cuda.stream", lambda stream: stream)
    streams._stream.cache_clear()
    gpu = torch.device("cuda", 0)
    first = [streams.own_stream(gpu, place) for place in range(3)]
    for _ in range(40):  # torch gives 32 and then the first again
        assert [streams.own_stream(gpu, place) for place in range(3)] == first
    assert Stream.made == 3
    streams._stream.cache_clear()
