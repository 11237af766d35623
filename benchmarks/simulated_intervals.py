"""Intervals of the mean on simulated seeds: how often they hold the true mean, and what they cost.

The true mean is 0 here and the standard deviation 1: no formula knows either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from harness.stats import stein_size, summary

Array = NDArray[np.float64]
RESAMPLES = 2000
_BLOCK = 2000


@dataclass(frozen=True)
class Coverage:
    """The share of intervals that hold the true mean, and the mean number of seeds; the share at the cap."""

    held: float
    seeds: float
    capped: float = 0.0


def student(n: int, reports: int, seed: int) -> Coverage:
    """Return how often the 95 % t-interval of n seeds holds the mean."""
    values = np.random.default_rng([seed, n]).normal(size=(reports, n))
    half = _quantile(n - 1) * values.std(1, ddof=1) / math.sqrt(n)
    for row, expected in zip(values[:100], half, strict=False):
        assert math.isclose(summary(row.tolist()).half_width() or 0.0, expected, rel_tol=1e-9)
    return Coverage(float(np.mean(np.abs(values.mean(1)) <= half)), n)


def bootstrap(n: int, reports: int, seed: int) -> Coverage:
    """Return how often the 95 % percentile bootstrap's interval of n seeds does."""
    chance = np.random.default_rng([seed, n])
    values = chance.normal(size=(reports, n))
    held = 0
    for start in range(0, reports, _BLOCK):
        weights = chance.multinomial(n, [1 / n] * n, RESAMPLES) / n
        means = values[start : start + _BLOCK] @ weights.T
        low, high = np.quantile(means, (0.025, 0.975), axis=1)
        held += int(np.sum((low <= 0) & (high >= 0)))
    return Coverage(held / reports, n)


def stein(at_least: int, half_width: float, cap: int | None, reports: int, seed: int) -> Coverage:
    """Return the same of Stein's two stages, where the interval is to be so wide to either side."""
    chance = np.random.default_rng([seed, at_least])
    first = chance.normal(size=(reports, at_least))
    spread = first.std(1, ddof=1)
    quantile = _quantile(at_least - 1)
    size = np.maximum(at_least, np.ceil((quantile * spread / half_width) ** 2))
    for row, expected in zip(first[:100], size, strict=False):
        assert stein_size(row.tolist(), half_width) == expected
    capped = float(np.mean(size > cap)) if cap else 0.0
    size = np.minimum(size, cap) if cap else size
    rest = chance.normal(size=reports) * np.sqrt(size - at_least)
    means = (first.sum(1) + rest) / size
    held = np.abs(means) <= quantile * spread / np.sqrt(size)
    return Coverage(float(held.mean()), float(size.mean()), capped)


def looks(at_least: int, half_width: float, cap: int, reports: int, seed: int) -> Coverage:
    """Return the same where seeds are added one by one until the usual t-interval is narrow enough."""
    chance = np.random.default_rng([seed, at_least])
    n = np.arange(1, cap + 1)
    quantiles = _quantile(np.maximum(n - 1, 1))
    held = 0
    sizes = 0
    capped = 0
    for start in range(0, reports, _BLOCK):
        values = chance.normal(size=(min(_BLOCK, reports - start), cap))
        means = values.cumsum(1) / n
        variances = ((values**2).cumsum(1) - n * means**2) / np.maximum(n - 1, 1)
        half = quantiles * np.sqrt(np.maximum(variances, 0) / n)
        is_enough = (half <= half_width) & (n >= at_least)
        capped += int(np.sum(~is_enough.any(1)))
        is_enough[:, -1] = True
        end = is_enough.argmax(1)[:, None]
        held += int(np.sum(np.abs(np.take_along_axis(means, end, 1)) <= np.take_along_axis(half, end, 1)))
        sizes += int(np.sum(end + 1))
    return Coverage(held / reports, sizes / reports, capped / reports)


def _quantile(df: float | NDArray[np.int64]) -> Array:
    return np.asarray(special.stdtrit(df, 0.975))
