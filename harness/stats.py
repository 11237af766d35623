"""Statistics over seeds: means, spreads, intervals, differences of means; the same on every machine."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import cast

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Summary:
    """Summary of n values; `std` is the sample standard deviation (n - 1), None for one value.

    Intervals use `spread`, which has `df` degrees of freedom: the standard deviation of all values or,
    under an adaptive number of seeds, of the first ones alone. `exact` is the mean without rounding, if the
    values were known so.
    """

    n: int
    mean: float
    std: float | None
    minimum: float
    maximum: float
    spread: float | None
    df: int
    exact: Fraction | None = field(default=None, compare=False)

    def minus(self, other: Summary | Fraction) -> float:
        """Return the difference of the means, rounded once, so that a tie of decimals stays one."""
        ours, theirs = (each.exact if isinstance(each, Summary) else each for each in (self, other))
        if ours is None or theirs is None:
            return self.mean - (other.mean if isinstance(other, Summary) else float(other))
        return float(ours - theirs)

    def half_width(self, level: float = 0.95) -> float | None:
        """Return half the mean's interval, t(df) spread / √n (Student 1908); None for one value."""
        if self.spread is None:
            return None
        return t_quantile((1 + level) / 2, self.df) * self.spread / math.sqrt(self.n)

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Return the mean's t-interval; None for one value."""
        half = self.half_width(level)
        return None if half is None else (self.mean - half, self.mean + half)

    def interval_of_fraction(self) -> tuple[float, float] | None:
        """Return the 95 % interval, without the parts below 0 and above 1, where no fraction is.

        It holds a true mean as often as the whole interval does.
        """
        interval = self.interval()
        return None if interval is None else (max(0.0, interval[0]), min(1.0, interval[1]))


@dataclass(frozen=True)
class Difference:
    """A difference of means, its standard error, and how far rounding may have moved it (`slack`)."""

    estimate: float
    standard_error: float
    df: float
    slack: float = 0.0

    def half_width(self, level: float = 0.95) -> float:
        """Return half the width of the confidence interval, widened by the slack on either side."""
        return t_quantile((1 + level) / 2, self.df) * self.standard_error + self.slack

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the confidence interval at this level."""
        half = self.half_width(level)
        return self.estimate - half, self.estimate + half

    def interval_of_fractions(self) -> tuple[float, float]:
        """Return the 95 % interval, without the parts below -1 and above 1, where no difference is."""
        low, high = self.interval()
        return max(-1.0, low), min(1.0, high)


def summary(values: Sequence[float | Fraction], first: int | None = None) -> Summary:
    """Summarise one or more values; sums are exact, so the order does not matter.

    Of fractions mean and standard deviation are those of the fractions, each rounded once.

    If the `first` values decided how many there are, the spread is taken from them alone (Stein 1945).
    """
    std = _std(values)
    spread, df = std, len(values) - 1
    if first is not None and len(values) > first > 1:
        spread, df = _std(values[:first]), first - 1
    mean: float | Fraction = statistics.mean(cast(Sequence[float], values))
    exact = mean if isinstance(mean, Fraction) else None
    lowest, highest = float(min(values)), float(max(values))
    return Summary(len(values), float(mean), std, lowest, highest, spread, df, exact)


def against_mean(
    ours: Summary, figure: float | Fraction, runs: int = 1, slack: float = 0.0
) -> Difference | None:
    """Return our mean minus the mean of `runs` other runs, with a spread that is taken to be ours.

    Its standard error is s √(1/n + 1/runs), with n - 1 degrees of freedom: the prediction interval for the
    mean of future values (Hahn & Meeker, Statistical Intervals, 1991, chapter 4). None for one value of ours.
    """
    if ours.spread is None:
        return None
    error = ours.spread * math.sqrt(1 / ours.n + 1 / runs)
    estimate = ours.minus(figure) if isinstance(figure, Fraction) else ours.mean - figure
    return Difference(estimate, error, ours.df, slack)


def pooled(ours: Summary, theirs: Summary, slack: float = 0.0) -> Difference | None:
    """Return the difference of means with the standard error of Student's pooled t (equal variances).

    s² = (df₁ s₁² + df₂ s₂²) / (df₁ + df₂) with df₁ + df₂ degrees of freedom (Fisher 1925). A side of
    equal values says nothing about spread: the other side's is used for both. None for one value on a side.
    """
    if ours.spread is None or theirs.spread is None:
        return None
    sides = [side for side in ((ours.spread, ours.df), (theirs.spread, theirs.df)) if side[0] > 0]
    df = sum(df for _, df in sides) or ours.df + theirs.df
    variance = sum(df * spread**2 for spread, df in sides) / df
    error = math.sqrt(variance * (1 / ours.n + 1 / theirs.n))
    return Difference(ours.minus(theirs), error, df, slack)


def welch(ours: Summary, theirs: Summary, slack: float = 0.0) -> Difference | None:
    """Return the difference of means with Welch's standard error (variances may differ).

    √(s₁²/n₁ + s₂²/n₂), with the degrees of freedom of Satterthwaite (1946) and Welch (1947). If a side's
    values are all equal, the pooled error is used. None if a side has one value.
    """
    if not ours.spread or not theirs.spread:
        return pooled(ours, theirs, slack)
    errors = [side / math.sqrt(n) for side, n in ((ours.spread, ours.n), (theirs.spread, theirs.n))]
    error = math.hypot(*errors)
    weights = [(part / error) ** 4 / df for part, df in zip(errors, (ours.df, theirs.df), strict=True)]
    return Difference(ours.minus(theirs), error, 1 / sum(weights), slack)


def paired(differences: Sequence[float | Fraction]) -> Difference | None:
    """Return the mean of paired differences, with Student's t; None for one pair."""
    return of_pairs(summary(differences))


def of_pairs(pairs: Summary) -> Difference | None:
    """Return the same as `paired`, from a summary of the differences.

    Differences that are equal except for float rounding have no spread.
    """
    if pairs.spread is None:
        return None
    spread = pairs.spread if pairs.spread > _ROUNDING * abs(pairs.mean) else 0.0
    return Difference(pairs.mean, spread / math.sqrt(pairs.n), pairs.df)


def stein_size(first: Sequence[float | Fraction], half_width: float) -> int:
    """Return how many values a 95 % interval of this half-width needs, judged by the first ones alone.

    max(n₀, ⌈(t(0.975, n₀ - 1) s₀ / half_width)²⌉): the coverage of m ± t s₀ / √N is then exact (Stein, Annals
    of Mathematical Statistics 16, 1945, 243-258).
    """
    spread = _std(first)
    assert spread is not None
    return max(len(first), math.ceil((t_quantile(0.975, len(first) - 1) * spread / half_width) ** 2))


def binomial_half_width(fraction: float, n: int, level: float = 0.95) -> float:
    """Return half the width of the interval of a fraction of n draws (Wilson 1927)."""
    z = t_quantile((1 + level) / 2, math.inf)
    return z * math.sqrt(fraction * (1 - fraction) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)


@cache
def t_quantile(probability: float, df: float) -> float:
    """Return the quantile of Student's t distribution, or of the normal distribution if `df` is infinite."""
    from scipy import special  # loads in a tenth of the time of scipy.stats

    return float(special.ndtri(probability) if math.isinf(df) else special.stdtrit(df, probability))


def decimal(value: float) -> Fraction:
    """Return the decimal number that was read as this float."""
    return Fraction(repr(value))


def _std(values: Sequence[float | Fraction]) -> float | None:
    return float(statistics.stdev(cast(Sequence[float], values))) if len(values) > 1 else None
