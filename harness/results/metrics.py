"""Metrics: the registry of what each epoch records for each part of the data.

To add a metric, add a line to METRICS: records, CSV, the page, `compare` and the tests of resumed trials and
of ranks go through it. Records that are older than a metric do without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Metric:
    """A mean over the samples of a part of the data.

    A lower loss is better. A fraction is the share of samples that `count` counts from logits (N, K) and
    labels (N,); a higher one is better.
    """

    name: str
    title: str
    count: Callable[[Tensor, Tensor], Tensor] | None = None

    @property
    def is_fraction(self) -> bool:
        """Tell whether it is a share of the samples."""
        return self.count is not None


METRICS = (
    Metric("loss", "loss"),  # the training's criterion
    Metric("accuracy", "accuracy", lambda logits, labels: (logits.argmax(1) == labels).sum()),
)
PARTS = {"train": "Training", "validation": "Validation", "test": "Testing"}

# The metrics of an epoch: train_loss, train_accuracy, and so on; those of validation only where it was done.
OF_EPOCH = {f"{part}_{metric.name}": metric for part in PARTS for metric in METRICS}

# The metrics that `compare` shows, by their names in --fail-if: fractions, in points, before losses.
COMPARED = {
    f"{part}_{metric.name}{'_points' if metric.is_fraction else ''}": (part, metric)
    for metric in sorted(METRICS, key=lambda metric: not metric.is_fraction)
    for part in reversed(PARTS)
}
