"""Number formats of table cells."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from harness import formatting
from harness.formatting import half_up
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
    """Format the 95 % interval of a mean accuracy."""
    interval = value.interval_of_fraction() if value else None
    if interval is None:
        return "–"
    low, high = (half_up(bound, digits, 100) for bound in interval)
    return f"{low} to {high} %"


def loss(value: float) -> str:
    """Format a loss with the report's digits."""
    return half_up(value, LOSS_DIGITS)


def percent(digits: int) -> Callable[[float], str]:
    """Return a formatter of fractions as percentages with this number of digits."""
    return partial(formatting.percent, digits=digits)


def signed(fraction: float, digits: int) -> str:
    """Format a difference of fractions in points, with its sign."""
    return half_up(fraction, digits, 100, "+")
