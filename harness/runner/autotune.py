"""Autotuning: all ranks time a few steps of each execution to find the seconds per epoch."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.config.suite import Trial
from harness.results.record import EngineName, Placement
from harness.runner.placement import Execution
from harness.training.barrier import Barrier
from harness.training.dataloader import ResidentDataset
from harness.training.distributed import RunRanks
from harness.training.throughput import TimedTrials, grow, release

_ROUNDS = 5
_STEPS = 3
_BATCHES = 2

_Groups = dict[tuple[Placement, EngineName | None], TimedTrials]


@dataclass
class Autotuner:
    """Measurement by all ranks in one phase, shared through their key-value store.

    `say` receives a message on what does not fit; `move` is called after every part.
    """

    run_ranks: RunRanks
    phase: str
    executions: Sequence[Execution]
    say: Callable[[str], None]
    move: Callable[[], None] = lambda: None
    barrier: Barrier = field(init=False)

    def __post_init__(self) -> None:
        self.barrier = Barrier(self.run_ranks, f"{self.phase}/barrier")

    def measure(self, trial: Trial, data: ResidentDataset) -> None:
        """Measure this rank's part: each execution in turn, in several rounds.

        Raise every error, as other ranks may be waiting, except a lack of memory for several trials at once.
        """
        release(self.run_ranks.device)
        groups = self._groups(trial, data)
        fitting = self._fitting(trial, groups)
        seconds: dict[Execution, list[float]] = {each: [] for each in fitting}
        for _ in range(_ROUNDS):
            for execution, rounds in seconds.items():
                group = groups[execution.placement, execution.engine]
                rounds.append(_epoch_seconds(trial, data, group, execution.trials_per_device))
                self.move()
        for execution, rounds in seconds.items():
            self.run_ranks.set(self._place(trial, execution, self.run_ranks.rank), json.dumps(rounds))

    def measured(self, trial: Trial) -> dict[Execution, float | None]:
        """Return the seconds per epoch: the median round of the slowest rank; None if a rank failed."""
        found: dict[Execution, float | None] = {}
        for execution in self.executions:
            places = [self._place(trial, execution, rank) for rank in range(self.run_ranks.world_size)]
            ranks = [json.loads(text or "[]") for text in self.run_ranks.get_all(places)]
            rounds = [max(of_ranks) for of_ranks in zip(*ranks, strict=False)]
            found[execution] = statistics.median(rounds) if rounds else None
        return found

    def _groups(self, trial: Trial, data: ResidentDataset) -> _Groups:
        """Return the trials of all executions, warmed up, as many as fit."""
        widest = max(each.trials_per_device for each in self.executions)
        groups: _Groups = {}
        for each in self.executions:
            key = each.placement, each.engine
            together = each.placement == "ddp"
            world = self.run_ranks.together() if together else self.run_ranks.alone()
            most = max(groups[key].most if key in groups else 1, each.trials_per_device)
            place = widest if together else 0
            groups[key] = TimedTrials(
                trial, data, world, each.engine, most, barrier=self.barrier.wait, first_place=place
            )
        # Trials of all ranks first: there is memory now, and no rank waits in a collective.
        self.barrier.wait()
        grow([group for (placement, _), group in groups.items() if placement == "ddp"], self.move)
        grow([group for (placement, _), group in groups.items() if placement == "spread"], self.move)
        return groups

    def _fitting(self, trial: Trial, groups: _Groups) -> list[Execution]:
        """Return the executions for which every rank has enough memory."""
        own = [
            len(groups[each.placement, each.engine].members) >= each.trials_per_device
            for each in self.executions
        ]
        of_ranks = self.barrier.gather(own)
        fits = dict(
            zip(self.executions, (all(column) for column in zip(*of_ranks, strict=True)), strict=True)
        )
        if self.run_ranks.is_rank_zero and not all(fits.values()):
            names = "; ".join(str(each) for each in self.executions if not fits[each])
            self.say(f"{trial.key}: not measured, as the device's memory is too small: {names}")
        return [each for each in self.executions if fits[each]]

    def _place(self, trial: Trial, execution: Execution, rank: int) -> str:
        return f"{self.phase}/{trial.key}/{execution}/{rank}"


def _epoch_seconds(trial: Trial, data: ResidentDataset, group: TimedTrials, width: int) -> float:
    """Return the seconds per epoch of each of the `width` trials that run at once."""
    step, batch = group.train(_STEPS, width) / _STEPS, group.evaluate(_BATCHES, width) / _BATCHES
    return data.train.batches(trial.settings.training.batch_size) * step + data.eval_batches * batch
