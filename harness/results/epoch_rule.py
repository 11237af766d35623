"""Epoch of a trial that is reported, and the end of a trial that stops early: functions of its epochs alone.

So they are the same on every rank, and after any interruption.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.config.settings import Training
from harness.results.record import Epoch

_BEST = "validation_accuracy"


def reported(training: Training, epochs: Sequence[Epoch]) -> int:
    """Return the index of the epoch whose figures count: the last, or the best on validation."""
    return len(epochs) - 1 if training.epoch == "last" else best(epochs, _BEST)


def reported_epoch(training: Training, epochs: Sequence[Epoch]) -> Epoch:
    """Return the epoch whose figures count."""
    return epochs[reported(training, epochs)]


def stops(training: Training, epochs: Sequence[Epoch]) -> bool:
    """Return whether a trial stops early after these epochs."""
    rule = training.early_stopping
    if rule is None or not epochs:
        return False
    return len(epochs) - 1 - best(epochs, rule.by) >= rule.patience


def best(epochs: Sequence[Epoch], figure: str) -> int:
    """Return the index of the epoch with the least loss or the greatest accuracy, the first of equals."""
    sign = -1 if figure.endswith("loss") else 1
    values = [sign * each.figure(figure) for each in epochs]
    return max(range(len(values)), key=lambda at: -math.inf if math.isnan(values[at]) else values[at])
