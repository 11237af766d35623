"""Trials that are trained only to be timed: side by side on this rank's device, a few of them or all."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from harness.config.suite import Trial
from harness.results.record import EngineName
from harness.training.dataloader import ResidentDataset, Share
from harness.training.distributed import ProcessGroup
from harness.training.engine import USES_BEFORE, WARM_UP_STEPS
from harness.training.streams import own_stream
from harness.training.trainer import PreparedTrial, prepare


@dataclass(frozen=True)
class TimedTrial:
    """One trial with the batches that it is trained on, full ones only, and its stream."""

    trainee: PreparedTrial
    shares: Iterator[Share]
    test_share: Share
    stream: contextlib.AbstractContextManager[object]

    def train(self) -> None:
        """Take one step."""
        with self.stream:
            self.trainee.engine.train(next(self.shares))

    def evaluate(self) -> None:
        """Evaluate one batch."""
        with self.stream:
            self.trainee.engine.evaluate(self.test_share)


class TimedTrials:
    """Up to `most` trials that differ in their seeds only; the first ones can be timed without the others.

    All ranks `meet` before a clock is read. Streams are those of the places from `first_place` on.
    """

    def __init__(
        self,
        trial: Trial,
        data: ResidentDataset,
        world: ProcessGroup,
        engine: EngineName | None,
        most: int = 1,
        *,
        meet: Callable[[], None] = lambda: None,
        first_place: int = 0,
    ) -> None:
        self.trial, self.data, self.world, self.requested, self.most = trial, data, world, engine, most
        self.meet, self.first_place = meet, first_place
        self.lanes: list[TimedTrial] = []
        self.notes: list[str] = []
        self.obstacle = ""  # to more lanes

    @property
    def engine(self) -> EngineName:
        """Return the engine that its trials have; one that cannot do its work has become another."""
        return self.lanes[0].trainee.engine.name

    def add(self) -> bool:
        """Add one more trial, warmed up; tell whether there was memory for it.

        Where ranks train it together the lack of memory is raised, as the others wait for this one.
        """
        try:
            lane = self._made(len(self.lanes))
            for each in [*self.lanes, lane] if self.lanes else []:
                each.train()  # they need their memory together
        except torch.OutOfMemoryError:
            if self.world.world_size > 1:
                raise
            self.obstacle = "the device's memory is too small"
            return False
        if self.lanes and lane.trainee.engine.name != self.engine:
            self.obstacle = "the next trial could not be captured"
            return False
        self.lanes.append(lane)
        return True

    def train(self, steps: int, width: int = 1) -> float:
        """Take so many steps in each of the first trials; return the seconds they took together."""
        for lane in self.lanes[:width]:
            lane.trainee.step.model.train()
        return self._timed(steps, width, TimedTrial.train)

    def evaluate(self, batches: int, width: int = 1) -> float:
        """Evaluate so many batches in each of the first trials; return the seconds they took together."""
        for lane in self.lanes[:width]:
            lane.trainee.step.model.eval()
        return self._timed(batches, width, TimedTrial.evaluate)

    def _timed(self, times: int, width: int, turn: Callable[[TimedTrial], None]) -> float:
        self.meet()
        # Those who met may be milliseconds apart; none leaves a sum before all have entered it.
        self.world.sum_(torch.zeros(1, device=self.world.device))
        self.world.wait_for_device()
        started = time.perf_counter()
        for _ in range(times):
            for lane in self.lanes[:width]:
                turn(lane)
        self.world.wait_for_device()
        return time.perf_counter() - started

    def _made(self, seed: int) -> TimedTrial:
        """Make a trial and take what steps it needs until all is in place, graphs too."""
        lane = self._prepared(seed)
        self._warm_up(lane)
        return lane

    def _prepared(self, seed: int) -> TimedTrial:
        trial, data, world = dataclasses.replace(self.trial, seed=seed), self.data, self.world
        stream = own_stream(world.device, self.first_place + seed)
        with stream:
            trainee = prepare(trial, data, world, self.requested, self.notes.append)
            trainee.step.model.train()
            return TimedTrial(
                trainee, _full_batches(trial, data, world), next(data.test.eval_shares(world)), stream
            )

    def _warm_up(self, lane: TimedTrial) -> None:
        is_graph = lane.trainee.engine.name == "graph"
        for _ in range(WARM_UP_STEPS + 2 if is_graph else 2):
            lane.train()
        lane.trainee.step.model.eval()
        for _ in range(USES_BEFORE + 1 if is_graph else 2):
            lane.evaluate()
        lane.trainee.step.model.train()


def grow(rigs: Sequence[TimedTrials], moved: Callable[[], None] = lambda: None) -> None:
    """Fill the rigs of one device together, one place after the other, as far as its memory goes.

    Where one has no memory for a place all others make anew what they have there: their graphs share the
    place's stream, and its cuBLAS workspace may go with the first graph that dies.
    """
    growing = list(rigs)
    for place in range(max((rig.most for rig in rigs), default=0)):
        growing = [rig for rig in growing if rig.most > place]
        while full := next((rig for rig in growing if not _has_added(rig, moved)), None):
            growing.remove(full)
            for rig in growing:
                del rig.lanes[place:]
            release(full.world.device)


def release(device: torch.device) -> None:
    """Let go of what is of no use any more, and of its memory on a GPU.

    A graph that dies later, when Python finds a cycle, may take the workspace of others on its stream along.
    """
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()


def _has_added(rig: TimedTrials, moved: Callable[[], None]) -> bool:
    is_added = rig.add()
    moved()
    return is_added


def _full_batches(trial: Trial, data: ResidentDataset, world: ProcessGroup) -> Iterator[Share]:
    batch_size = min(trial.settings.training.batch_size, len(data.train))
    for epoch in itertools.count(1):
        for share in data.train.train_shares(trial.seed, epoch, batch_size, world):
            if share.size == batch_size:
                yield share
