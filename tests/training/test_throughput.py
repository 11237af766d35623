"""Trials that are only timed: how many fit, which are timed, and from when on."""

from __future__ import annotations

import contextlib
import itertools
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.training.dataloader import Share
from harness.training.distributed import ProcessGroup
from harness.training.engine import WARM_UP_STEPS
from harness.training.throughput import TimedTrial, TimedTrials, grow
from tests.support.ranks import ALONE, CPU
from tests.support.trials import resident, small_trial

SHARE = Share.of(torch.arange(3), 0, 3)


def rig_of(most: int = 1, world: ProcessGroup = ALONE, **named: Any) -> TimedTrials:
    trial = small_trial()
    return TimedTrials(trial, resident(trial, ALONE), world, "eager", most, **named)


class Log(ProcessGroup):
    """A rank alone whose exchanges are noted."""

    said: list[str]

    def sum_(self, tensor: torch.Tensor) -> torch.Tensor:
        self.said.append("exchange")
        return tensor

    def wait_for_device(self) -> None:
        self.said.append("device")


@pytest.mark.parametrize("kind", ["train", "evaluate"])
def test_the_clock_is_read_when_all_ranks_are_there_and_the_device_is_idle(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    world = Log(0, 1, CPU)
    object.__setattr__(world, "said", said)
    group = rig_of(world=world, barrier=lambda: said.append("meet"))
    assert group.add()
    assert said == []  # a warm-up waits for nobody
    times = iter([5.0, 7.5])

    def clock() -> float:
        said.append("clock")
        return next(times)

    monkeypatch.setattr("harness.training.throughput.time", SimpleNamespace(perf_counter=clock))
    assert getattr(group, kind)(2) == 2.5
    assert said == ["meet", "exchange", "device", "clock", "device", "clock"]


def steps_of(group: TimedTrials) -> list[int]:
    """Return how many steps each trial has taken."""
    return [int(member.prepared.step.shard.step) for member in group.members]


def test_a_width_is_timed_with_the_first_trials_of_the_same_rig() -> None:
    group = rig_of(most=3)
    grow([group])
    before = steps_of(group)
    group.train(4, width=2)
    group.evaluate(4, width=2)
    assert [after - each for after, each in zip(steps_of(group), before, strict=True)] == [4, 4, 0]


def test_trials_differ_in_their_seeds_and_take_full_batches_only() -> None:
    group = rig_of(most=2)
    grow([group])
    weights = [next(member.prepared.state.model.parameters()) for member in group.members]
    assert not torch.equal(*weights)
    assert {next(group.members[0].shares).size for _ in range(20)} == {16}


class Limited(TimedTrials):
    """Makes as many lanes as it is said to have memory for, and notes it."""

    def __init__(self, name: str, most: int, fits: int, log: list[str], world: ProcessGroup = ALONE) -> None:
        super().__init__(small_trial(), None, world, "graph", most)  # type: ignore[arg-type]
        self.name, self.fits, self.log = name, fits, log
        self.engines: dict[int, str] = {}
        self.at_once = most

    def _made(self, seed: int) -> TimedTrial:
        if seed >= self.fits:
            self.log.append(f"{self.name}{seed} lacks memory")
            raise torch.OutOfMemoryError
        self.log.append(f"{self.name}{seed}")

        def train(share: Share) -> None:
            if seed >= self.at_once:
                raise torch.OutOfMemoryError

        engine = SimpleNamespace(name=self.engines.get(seed, "graph"), train=train)
        prepared: Any = SimpleNamespace(engine=engine)
        return TimedTrial(prepared, itertools.repeat(SHARE), SHARE, contextlib.nullcontext())


def test_rigs_grow_together_place_by_place() -> None:
    log: list[str] = []
    grow([Limited("a", 3, 9, log), Limited("b", 1, 9, log), Limited("c", 2, 9, log)])
    assert log == ["a0", "b0", "c0", "a1", "c1", "a2"]


def test_where_one_lacks_memory_the_others_make_anew_what_they_have_at_that_place() -> None:
    log: list[str] = []
    grown = [Limited("a", 3, 9, log), Limited("b", 3, 1, log), Limited("c", 3, 9, log)]
    grow(grown)
    assert log == ["a0", "b0", "c0", "a1", "b1 lacks memory", "a1", "c1", "a2", "c2"]
    assert [len(each.members) for each in grown] == [3, 1, 3]


def test_what_does_not_fit_at_all_has_no_trials() -> None:
    log: list[str] = []
    (group,) = grown = [Limited("a", 4, 0, log)]
    grow(grown)
    assert (group.members, log) == ([], ["a0 lacks memory"])


def test_a_trial_that_could_not_be_captured_beside_others_that_could_did_not_fit() -> None:
    group = Limited("a", 4, 9, [])
    group.engines = {2: "eager"}
    grow([group])
    assert len(group.members) == 2
    group = Limited("a", 2, 9, [])
    group.engines = {0: "eager", 1: "eager"}  # which nothing but the trial itself is the reason of
    grow([group])
    assert (len(group.members), group.engine) == (2, "eager")


def test_trials_that_fit_one_by_one_and_not_together_do_not_fit() -> None:
    group = Limited("a", 4, 9, [])
    group.at_once = 3
    grow([group])
    assert len(group.members) == 3


def test_ranks_that_train_together_do_not_lack_memory_one_by_one() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        Limited("a", 1, 0, [], ProcessGroup(0, 2, CPU)).add()


def test_a_place_that_was_full_gives_its_memory_back(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("harness.training.throughput.gc.collect", lambda: said.append("collected"))
    monkeypatch.setattr("torch.cuda.empty_cache", lambda: said.append("emptied"))
    grow([Limited("a", 2, 1, said, ProcessGroup(0, 1, torch.device("cuda", 0)))])
    assert said == ["a0", "a1 lacks memory", "collected", "emptied"]


@pytest.mark.parametrize("engine", ["graph", "compiled"])
def test_a_graph_is_there_before_anything_is_timed(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    group = rig_of()
    member = group._prepared(0)
    monkeypatch.setattr(member.prepared.engine, "name", engine)
    group._warm_up(member)
    assert int(member.prepared.step.shard.step) == WARM_UP_STEPS + 2
