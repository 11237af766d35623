"""State of a trial's training: all that a checkpoint holds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from harness.results.record import Epoch
from harness.training.distributed import ProcessGroup
from harness.training.optim import load_state
from harness.training.weight_average import WeightAverage


@dataclass
class TrainerState:
    """All that a checkpoint holds: with it any number of ranks go on to the same numbers.

    `history` holds the complete epochs. Of the next one, `steps` are taken; `sums` are each rank's totals
    over them, `seconds` the time that they took. `kept` is the model's state as the epoch that counts was
    evaluated, where that is not the model's own at the end.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None = None
    history: list[Epoch] = field(default_factory=list)
    steps: int = 0
    sums: list[list[float]] = field(default_factory=list)
    seconds: float = 0.0
    kept: dict[str, Any] | None = None

    @property
    def place(self) -> list[int]:
        """Return complete epochs and further steps, which order the states of a trial."""
        return [len(self.history), self.steps]

    @property
    def has_diverged(self) -> bool:
        """Tell whether a metric of the last epoch is not finite."""
        metrics = self.history[-1].metrics.values() if self.history else ()
        return not all(map(math.isfinite, metrics))

    def sums_of(self, world: ProcessGroup) -> list[float] | None:
        """Return this rank's sums; if the number of ranks has changed, the total on rank 0, else None."""
        if len(self.sums) == world.world_size:
            return self.sums[world.rank]
        total = [math.fsum(column) for column in zip(*self.sums, strict=True)]
        return total if world.is_rank_zero and self.sums else None

    def end_epoch(self, epoch: Epoch) -> None:
        """Add a complete epoch."""
        self.history, self.steps, self.sums, self.seconds = [*self.history, epoch], 0, [], 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors, numbers, texts, lists and dictionaries."""
        return {
            "history": [vars(epoch) for epoch in self.history],
            "steps": self.steps,
            "sums": self.sums,
            "seconds": self.seconds,
            "model": (self.average and self.average.live) or self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average and self.average.state_dict(),
            "kept": self.kept,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state, which may come from any device, engine and number of ranks."""
        self.model.load_state_dict(state["model"])
        load_state(self.optimizer, state["optimizer"])
        if self.average:
            self.average.load_state_dict(state["average"])
        self.kept = state["kept"]
        self.history = [Epoch(**epoch) for epoch in state["history"]]
        self.steps, self.sums, self.seconds = int(state["steps"]), state["sums"], float(state["seconds"])
