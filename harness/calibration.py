"""Measuring how long an epoch takes under each execution, in a few steps, by all ranks at once."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from harness.execution import Execution
from harness.suite import Trial
from harness.training.batches import EVAL_BATCH_SIZE, ResidentDataset
from harness.training.rig import Rig
from harness.training.world import Fleet

_ROUNDS = 5
_STEPS = 3
_BATCHES = 2


@dataclass(frozen=True)
class Calibration:
    """What the ranks measure in one phase, told through their store.

    `say` is told what does not fit; `move` is called after every part.
    """

    fleet: Fleet
    phase: str
    executions: Sequence[Execution]
    say: Callable[[str], None]
    move: Callable[[], None] = lambda: None

    def measure(self, trial: Trial, data: ResidentDataset) -> None:
        """Measure this rank's part, each execution in turn, again and again.

        Whatever fails is raised, but for several trials at once that do not fit: other ranks may wait.
        """
        rigs = {each: rig for each in self.executions if (rig := self._rig(trial, data, each))}
        seconds: dict[Execution, list[float]] = {each: [] for each in rigs}
        for _ in range(_ROUNDS):
            for execution, rig in rigs.items():
                seconds[execution].append(_epoch_seconds(trial, data, rig))
                self.move()
        for execution, rounds in seconds.items():
            self.fleet.put(self._place(trial, execution, self.fleet.rank), json.dumps(rounds))

    def measured(self, trial: Trial) -> dict[Execution, float | None]:
        """Return the seconds an epoch takes: the median round of its slowest rank; None where one failed."""
        found: dict[Execution, float | None] = {}
        for execution in self.executions:
            places = [self._place(trial, execution, rank) for rank in range(self.fleet.world_size)]
            ranks = [json.loads(self.fleet.look(place) or "[]") for place in places]
            rounds = [max(of_ranks) for of_ranks in zip(*ranks, strict=False)]
            found[execution] = statistics.median(rounds) if rounds else None
        return found

    def _rig(self, trial: Trial, data: ResidentDataset, execution: Execution) -> Rig | None:
        """Return the warmed-up trials of an execution, or None where they do not fit."""
        world = self.fleet.together() if execution.placement == "ddp" else self.fleet.alone()
        try:
            rig = Rig(trial, data, world, execution.engine, execution.trials_per_device)
            rig.warm_up()
        except torch.OutOfMemoryError:
            if execution.placement == "ddp":
                raise
            self.say(f"{trial.key}: {execution}: does not fit in the device's memory")
            return None
        self.move()
        return rig

    def _place(self, trial: Trial, execution: Execution, rank: int) -> str:
        return f"{self.phase}/{trial.key}/{execution}/{rank}"


def _epoch_seconds(trial: Trial, data: ResidentDataset, rig: Rig) -> float:
    """Return the seconds that an epoch takes each of the trials that are under way at once."""
    steps = math.ceil(len(data.train) / trial.settings.training.batch_size)
    batches = math.ceil(len(data.test) / EVAL_BATCH_SIZE)
    return steps * rig.train(_STEPS) / _STEPS + batches * rig.evaluate(_BATCHES) / _BATCHES
