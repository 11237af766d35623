"""Mean and spread over seeds, the same on every machine."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """The mean of n values and their sample standard deviation (n - 1); None for one value."""

    n: int
    mean: float
    std: float | None


def summary(values: Sequence[float]) -> Summary:
    """Summarise one value or more; exact sums, so that the order does not matter."""
    std = statistics.stdev(values) if len(values) > 1 else None
    return Summary(len(values), statistics.mean(values), std)
