"""Tracker interface: a stable API for users' own trackers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

# "left" is a trial that was interrupted, or that another run has taken over.
End = Literal["done", "diverged", "failed", "left"]


@dataclass(frozen=True)
class TrackedTrial:
    """Description of a tracked trial.

    `suite` is the folder of its results. `settings` hold dataset, model and training as the record does.
    `record` is the path of its record once it is done. `folder` is for this tracker and this trial alone;
    it may not exist yet.
    """

    suite: str
    experiment: str
    seed: int
    digest: str
    settings: dict[str, Any]
    record: Path
    folder: Path

    @property
    def name(self) -> str:
        """Return the trial's name, which is unique among all results."""
        return f"{self.suite}/{self.experiment}/seed-{self.seed}-{self.digest[:8]}"

    def flat_settings(self) -> dict[str, Any]:
        """Return the settings by dotted names, such as `training.optimizer.lr`, and the seed."""
        return {**_flat(self.settings), "seed": self.seed}


@dataclass(frozen=True)
class TrackedEpoch:
    """Metrics of one epoch.

    `number` counts from 1. `ended_at` is in seconds since 1970, for earlier epochs computed from durations.
    `figures` hold lr, train_loss, train_accuracy, test_loss, test_accuracy, train_seconds, eval_seconds and
    samples_per_second; accuracies are fractions, and values of a diverged trial may not be finite.
    """

    number: int
    ended_at: float
    figures: dict[str, float]


class Tracker(Protocol):
    """Destination of one trial's metrics; called by the rank that owns the trial, in a thread of its own."""

    def epoch(self, epoch: TrackedEpoch) -> None:
        """Store the metrics of one more epoch; epochs come in order, from the first, each once."""

    def end(self, status: End) -> None:
        """Close; not called if the process is killed or restarts."""


OpenTracker = Callable[[TrackedTrial], Tracker]


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        inner = _flat(value) if isinstance(value, dict) else None
        flat |= {key: value} if inner is None else {f"{key}.{name}": each for name, each in inner.items()}
    return flat
