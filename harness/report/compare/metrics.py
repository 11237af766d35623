"""Metrics of a comparison: how each is read from a trial, formatted and judged."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from harness.formatting import half_up
from harness.report.aggregate import Entry
from harness.report.number_format import LOSS_DIGITS, loss, percent, signed
from harness.results import metrics

MetricKind = Literal["accuracy", "loss", "speed"]


@dataclass(frozen=True)
class ComparedMetric:
    """A metric of a trial; `key` is its name after --fail-if, with the unit of amounts."""

    key: str
    title: str
    kind: MetricKind
    of: Callable[[Entry], float | Fraction | None]

    @property
    def words(self) -> tuple[str, str]:
        """Return the verdicts for a difference above and below zero."""
        return ("FASTER", "SLOWER") if self.kind == "speed" else ("HIGHER", "LOWER")

    def scaled(self, value: float | Fraction) -> float | Fraction:
        """Return a value on the scale of differences: logarithms for speeds, which are compared by ratio."""
        return math.log(value) if self.kind == "speed" else value

    def usable(self, entry: Entry) -> float | Fraction | None:
        """Return the value; None if it was not measured, or has no place on the scale."""
        value = self.of(entry)
        is_usable = value is not None and math.isfinite(value) and (self.kind != "speed" or value > 0)
        return value if is_usable else None

    def figure(self, value: float) -> str:
        """Format a value: a speed in images/s, a loss, or a fraction as a percentage."""
        if self.kind == "speed":
            return f"{value:,.0f}"
        return loss(value) if self.kind == "loss" else percent(3)(value)

    def amount(self, difference: float) -> str:
        """Format a difference without its unit."""
        if self.kind == "speed":
            return f"{math.exp(difference):.3f}"
        if self.kind == "accuracy":
            return signed(difference, 3)
        return half_up(difference, LOSS_DIGITS, sign="+")

    @property
    def unit(self) -> str:
        """Return the unit that follows an amount."""
        return {"accuracy": " points", "loss": "", "speed": " times"}[self.kind]

    def worse_by(self, difference: float) -> float:
        """Return how much worse B is, in the unit of the key: points, a loss, or percent of A's speed."""
        if self.kind == "speed":
            return 100 * (1 - math.exp(difference))
        return difference if self.kind == "loss" else -100 * difference


def _recorded(key: str, part: str, metric: metrics.Metric) -> ComparedMetric:
    kind: MetricKind = "accuracy" if metric.is_fraction else "loss"
    title = f"{metrics.PARTS[part]} {metric.title}"
    return ComparedMetric(key, title, kind, lambda of: of.exact(f"{part}_{metric.name}"))


COMPARED_METRICS = (
    *(_recorded(key, *recorded) for key, recorded in metrics.COMPARED.items()),
    ComparedMetric(
        "samples_per_second_percent",
        "Images/s in training",
        "speed",
        lambda of: of.samples_per_second,
    ),
)
