"""The interface between the harness and a tracker. What stands here is promised to users' own trackers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

# "left" is a trial that was interrupted, or that another run has taken over.
End = Literal["done", "diverged", "failed", "left"]


@dataclass(frozen=True)
class TrackedTrial:
    """Say which trial is tracked.

    `suite` is the folder of its results. `settings` hold dataset, model and training as the record does.
    `record` is where its record stands once it is done. `folder` is for this tracker and this trial alone;
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
        """Name the trial, one of a kind among all results."""
        return f"{self.suite}/{self.experiment}/seed-{self.seed}-{self.digest[:8]}"

    def flat_settings(self) -> dict[str, Any]:
        """Return the settings by dotted names, such as `training.optimizer.lr`, and the seed."""
        return {**_flat(self.settings), "seed": self.seed}


@dataclass(frozen=True)
class TrackedEpoch:
    """Hold what one epoch came to.

    `number` counts from 1. `ended_at` is in seconds since 1970, for earlier epochs reckoned by their times.
    `figures` hold lr, train_loss, train_accuracy, test_loss, test_accuracy, train_seconds, eval_seconds and
    samples_per_second; accuracies are fractions, and what diverged may not be finite.
    """

    number: int
    ended_at: float
    figures: dict[str, float]


class Tracker(Protocol):
    """Keeps what it is told of one trial."""

    def epoch(self, epoch: TrackedEpoch) -> None:
        """Keep the figures of one more epoch; they come in order, from the first, each once."""

    def end(self, status: End) -> None:
        """Close; not called where the process is killed or starts again."""


OpenTracker = Callable[[TrackedTrial], Tracker]


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        inner = _flat(value) if isinstance(value, dict) else None
        flat |= {key: value} if inner is None else {f"{key}.{name}": each for name, each in inner.items()}
    return flat
