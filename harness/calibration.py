"""Measuring how long an epoch takes under each execution, in a few steps, by all ranks at once."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.execution import Execution
from harness.suite import Trial
from harness.training.batches import EVAL_BATCH_SIZE, ResidentDataset
from harness.training.engine import WARM_UP_STEPS
from harness.training.rig import Rig
from harness.training.world import Fleet

_STEPS = 10
_BATCHES = 4


@dataclass(frozen=True)
class Calibration:
    """What the ranks measure in one phase, told through their store; `say` is told what fails."""

    fleet: Fleet
    phase: str
    executions: Sequence[Execution]
    say: Callable[[str], None]

    def measure(self, trial: Trial, data: ResidentDataset) -> None:
        """Measure this rank's part; raise what all ranks together raise: they may wait for this one."""
        for execution in self.executions:
            try:
                seconds = _epoch_seconds(trial, data, self.fleet, execution)
            except RuntimeError as error:
                if execution.placement == "ddp":
                    raise
                self.say(f"{trial.key}: {execution}: cannot be measured: {error}")
                seconds = math.inf
            self.fleet.put(self._place(trial, execution, self.fleet.rank), json.dumps(seconds))

    def measured(self, trial: Trial) -> dict[Execution, float]:
        """Return the seconds an epoch takes on the slowest rank, where all ranks could measure it."""
        found = {}
        for execution in self.executions:
            places = [self._place(trial, execution, rank) for rank in range(self.fleet.world_size)]
            seconds = max(json.loads(self.fleet.look(place) or "Infinity") for place in places)
            if math.isfinite(seconds):
                found[execution] = seconds
        return found

    def _place(self, trial: Trial, execution: Execution, rank: int) -> str:
        return f"{self.phase}/{trial.key}/{execution}/{rank}"


def _epoch_seconds(trial: Trial, data: ResidentDataset, fleet: Fleet, execution: Execution) -> float:
    """Return the seconds that an epoch takes each of the trials that are under way at once."""
    world = fleet.together() if execution.placement == "ddp" else fleet.alone()
    rig = Rig(trial, data, world, execution.engine, execution.trials_per_device)
    rig.train(WARM_UP_STEPS + 2)
    step_seconds = rig.train(_STEPS) / _STEPS
    rig.evaluate(2)
    batch_seconds = rig.evaluate(_BATCHES) / _BATCHES
    steps = math.ceil(len(data.train) / trial.settings.training.batch_size)
    return steps * step_seconds + math.ceil(len(data.test) / EVAL_BATCH_SIZE) * batch_seconds
