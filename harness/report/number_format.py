"""Number formats of table cells."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal

from harness.stats import Summary

LOSS_DIGITS = 5


def mean_cell(value: Summary | None, trials: int, write: Callable[[float], str]) -> str:
    """Format `mean ± std (n)`, or `(n of all)` if trials are absent."""
    if value is None:
        return "–"
    spread = "" if value.std is None else f" ± {write(value.std)}"
    of_all = f" of {trials}" if value.n < trials else ""
    return f"{write(value.mean)}{spread} ({value.n}{of_all})"


def interval_cell(value: Summary | None, digits: int) -> str:
    """Format the 95 % interval of a mean accuracy, clipped to the range of accuracies."""
    interval = value.interval() if value else None
    if interval is None:
        return "–"
    low, high = (f"{100 * min(1.0, max(0.0, bound)):.{digits}f}" for bound in interval)
    return f"{low} to {high} %"


def loss(value: float) -> str:
    """Format a loss with the report's digits."""
    return f"{value:.{LOSS_DIGITS}f}"


def percent(digits: int) -> Callable[[float], str]:
    """Return a formatter of fractions as percentages with so many digits, halves rounded up as in reports."""
    step = Decimal(1).scaleb(-digits)
    return lambda value: f"{(100 * Decimal(repr(value))).quantize(step, ROUND_HALF_UP)} %"


def signed(fraction: float, digits: int) -> str:
    """Format a difference of fractions in points, with its sign."""
    return f"{round(100 * fraction, digits) + 0.0:+.{digits}f}"  # zero is never written as -0
