"""Trials that are trained only to be timed."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator

from harness.record import EngineName
from harness.suite import Trial
from harness.training.batches import ResidentDataset, Share
from harness.training.engine import WARM_UP_STEPS
from harness.training.lanes import own_stream
from harness.training.loop import Trainee, prepare
from harness.training.world import World


class Rig:
    """So many trials at once on this rank's device, each with a seed of its own; full batches only."""

    def __init__(
        self, trial: Trial, data: ResidentDataset, world: World, engine: EngineName | None, width: int = 1
    ) -> None:
        self.world = world
        self.lanes = []
        for seed in range(width):
            stream = own_stream(world.device, seed)
            with stream:
                trainee = prepare(dataclasses.replace(trial, seed=seed), data, world, engine)
                self.lanes.append((trainee, _full_batches(trial, seed, data, world), stream))
        self.test_share = next(data.test.eval_shares(world))

    def warm_up(self) -> None:
        """Take what steps it needs until all is in place, graphs too."""
        self.train(WARM_UP_STEPS + 2 if "graph" in self.engines else 2)
        self.evaluate(2)

    @property
    def engines(self) -> set[EngineName]:
        """Return the engines that its trials have; one that cannot do its work has become another."""
        return {trainee.engine.name for trainee, *_ in self.lanes}

    def train(self, steps: int) -> float:
        """Take so many steps in every trial; return the seconds they took together."""
        for trainee, *_ in self.lanes:
            trainee.step.model.train()
        return self._timed(steps, lambda trainee, shares: trainee.engine.train(next(shares)))

    def evaluate(self, batches: int) -> float:
        """Evaluate so many batches in every trial; return the seconds they took together."""
        for trainee, *_ in self.lanes:
            trainee.step.model.eval()
        return self._timed(batches, lambda trainee, _: trainee.engine.evaluate(self.test_share))

    def _timed(self, times: int, turn: Callable[[Trainee, Iterator[Share]], object]) -> float:
        self.world.wait_for_device()
        started = time.perf_counter()
        for _ in range(times):
            for trainee, shares, stream in self.lanes:
                with stream:
                    turn(trainee, shares)
        self.world.wait_for_device()
        return time.perf_counter() - started


def _full_batches(trial: Trial, seed: int, data: ResidentDataset, world: World) -> Iterator[Share]:
    batch_size = min(trial.settings.training.batch_size, len(data.train))
    for epoch in itertools.count(1):
        for share in data.train.train_shares(seed, epoch, batch_size, world):
            if share.size == batch_size:
                yield share
