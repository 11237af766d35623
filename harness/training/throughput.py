"""Throughput measurement: trials trained only to be timed, one or several at once on a rank's device."""

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
from harness.training.prepared_trial import PreparedTrial, prepare
from harness.training.streams import own_stream


@dataclass(frozen=True)
class TimedTrial:
    """One trial with its training batches (full ones only), one test batch, and its stream."""

    prepared: PreparedTrial
    shares: Iterator[Share]
    test_share: Share
    stream: contextlib.AbstractContextManager[object]

    def train(self) -> None:
        """Take one training step."""
        with self.stream:
            self.prepared.engine.train(next(self.shares))

    def evaluate(self) -> None:
        """Evaluate one batch."""
        with self.stream:
            self.prepared.engine.evaluate(self.test_share)


class TimedTrials:
    """Up to `most` trials that differ only in their seeds; the first ones can be timed without the others.

    All ranks call `barrier` before a clock is read. Streams are those of the places from `first_place` on.
    """

    def __init__(
        self,
        trial: Trial,
        data: ResidentDataset,
        world: ProcessGroup,
        engine: EngineName | None,
        most: int = 1,
        *,
        barrier: Callable[[], None] = lambda: None,
        first_place: int = 0,
    ) -> None:
        self.trial, self.data, self.world, self.requested, self.most = trial, data, world, engine, most
        self.barrier, self.first_place = barrier, first_place
        self.members: list[TimedTrial] = []
        self.notes: list[str] = []
        self.obstacle = ""  # why no more trials fit

    @property
    def engine(self) -> EngineName:
        """Return the name of the trials' engine, another than requested if that one had to fall back."""
        return self.members[0].prepared.engine.name

    def add(self) -> bool:
        """Add one more trial and warm it up; return False if memory or a capture does not allow it.

        If ranks train it together, raise torch.OutOfMemoryError, as the others wait for this one.
        """
        try:
            member = self._made(len(self.members))
            for each in [*self.members, member] if self.members else []:
                each.train()  # they need their memory at the same time
        except torch.OutOfMemoryError:
            if self.world.world_size > 1:
                raise
            self.obstacle = "the device's memory is too small"
            return False
        if self.members and member.prepared.engine.name != self.engine:
            self.obstacle = "the next trial could not be captured"
            return False
        self.members.append(member)
        return True

    def train(self, steps: int, width: int = 1) -> float:
        """Take `steps` steps in each of the first `width` trials; return the seconds for all."""
        for member in self.members[:width]:
            member.prepared.step.model.train()
        return self._timed(steps, width, TimedTrial.train)

    def evaluate(self, batches: int, width: int = 1) -> float:
        """Evaluate `batches` batches in each of the first `width` trials; return the seconds for all."""
        for member in self.members[:width]:
            member.prepared.step.model.eval()
        return self._timed(batches, width, TimedTrial.evaluate)

    def _timed(self, times: int, width: int, turn: Callable[[TimedTrial], None]) -> float:
        self.barrier()
        # Ranks may still be milliseconds apart; none leaves an all-reduce before all have entered it.
        self.world.sum_(torch.zeros(1, device=self.world.device))
        self.world.wait_for_device()
        started = time.perf_counter()
        for _ in range(times):
            for member in self.members[:width]:
                turn(member)
        self.world.wait_for_device()
        return time.perf_counter() - started

    def _made(self, seed: int) -> TimedTrial:
        """Build a trial and take the steps it needs until everything is in place, graphs too."""
        member = self._prepared(seed)
        self._warm_up(member)
        return member

    def _prepared(self, seed: int) -> TimedTrial:
        trial, data, world = dataclasses.replace(self.trial, seed=seed), self.data, self.world
        stream = own_stream(world.device, self.first_place + seed)
        with stream:
            prepared = prepare(trial, data, world, self.requested, self.notes.append)
            prepared.step.model.train()
            return TimedTrial(
                prepared, _full_batches(trial, data, world), next(data.test.eval_shares(world)), stream
            )

    def _warm_up(self, member: TimedTrial) -> None:
        is_captured = member.prepared.engine.name != "eager"
        for _ in range(WARM_UP_STEPS + 2 if is_captured else 2):
            member.train()
        member.prepared.step.model.eval()
        for _ in range(USES_BEFORE + 1 if is_captured else 2):
            member.evaluate()
        member.prepared.step.model.train()


def grow(groups: Sequence[TimedTrials], moved: Callable[[], None] = lambda: None) -> None:
    """Fill the groups of timed trials of one device together, place by place, as far as its memory allows.

    If one has no memory for a place, all others rebuild what they have there: their graphs share the place's
    stream, and its cuBLAS workspace may be freed with the first graph that dies.
    """
    growing = list(groups)
    for place in range(max((group.most for group in groups), default=0)):
        growing = [group for group in growing if group.most > place]
        while full := next((group for group in growing if not _has_added(group, moved)), None):
            growing.remove(full)
            for group in growing:
                del group.members[place:]
            release(full.world.device)


def release(device: torch.device) -> None:
    """Free objects that are no longer used, and their memory on a GPU.

    A graph that is freed later, when Python collects a cycle, may free the workspace of others on its stream.
    """
    if device.type == "cuda":
        gc.collect()
        torch.cuda.empty_cache()


def _has_added(group: TimedTrials, moved: Callable[[], None]) -> bool:
    is_added = group.add()
    moved()
    return is_added


def _full_batches(trial: Trial, data: ResidentDataset, world: ProcessGroup) -> Iterator[Share]:
    batch_size = min(trial.settings.training.batch_size, len(data.train))
    for epoch in itertools.count(1):
        for share in data.train.train_shares(trial.seed, epoch, batch_size, world):
            if share.size == batch_size:
                yield share
