"""Verdicts on simulated seeds: how often each finding is made where the true difference is known.

Accuracies are counted in images of a test set of 10,000, so a point is 100 of them, and published ones are
rounded to that step. `check` holds the formulas here, which judge many reports at once, against the
harness's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from harness.report.verdict import Finding, finding, verdict
from harness.stats import summary, welch

Array = NDArray[np.float64]

IMAGES, POINT, MARGIN, SLACK = 10_000, 100, 50, 0.5
FINDINGS: tuple[Finding, ...] = ("open", "within", "above", "below")


@dataclass(frozen=True)
class Case:
    """What was published: one value, the mean of `runs` runs, or several values; and the formula for those.

    Their standard deviation is `ratio` times ours, which formulas but Welch's do not know. A share `low` of
    all runs, theirs and ours, ends five standard deviations lower.
    """

    name: str
    runs: int = 1
    values: int = 1
    formula: Literal["pooled", "welch"] = "pooled"
    ratio: float = 1.0
    low: float = 0.0


ONE_RUN = Case("one published run")
MEAN = Case("the mean of 3 runs", runs=3)
POOLED = Case("3 published values, pooled t", values=3)
WELCH = Case("3 published values, Welch's t", values=3, formula="welch")
CASES = (ONE_RUN, MEAN, POOLED, WELCH)
UNEQUAL = tuple(replace(case, ratio=ratio) for ratio in (2.5, 0.4) for case in CASES)
SKEWED = tuple(replace(case, low=0.1) for case in CASES)


def draw(
    case: Case, n: int, std_points: float, difference_points: float, reports: int, chance: np.random.Generator
) -> tuple[Array, Array]:
    """Return our values and the published ones, in images: a row for each report."""
    std, mean = std_points * POINT, 0.9 * IMAGES

    def runs(shape: tuple[int, ...], mean: float, std: float) -> Array:
        drawn = chance.normal(mean, std, shape)
        if case.low:
            drawn -= 5 * std * (chance.random(shape) < case.low)
        return drawn.round()

    ours = runs((reports, n), mean + difference_points * POINT, std)
    theirs = runs((reports, case.values, case.runs), mean, std * case.ratio)
    return ours, theirs.mean(2).round()


def judge(case: Case, ours: Array, theirs: Array) -> NDArray[np.int64]:
    """Return what is found in each report, as a place in FINDINGS."""
    estimate = ours.mean(1) - theirs.mean(1)
    error, df = _standard_error(case, ours, theirs)
    half = {level: special.stdtrit(df, (1 + level) / 2) * error + SLACK for level in (0.90, 0.95)}
    is_within = (np.abs(estimate) + half[0.90] < MARGIN) & (error > 0)
    is_sure = (np.abs(estimate) > half[0.95]) & (error > 0)
    return np.where(is_within, 1, np.where(is_sure, np.where(estimate > 0, 2, 3), 0))


def _standard_error(case: Case, ours: Array, theirs: Array) -> tuple[Array, Array]:
    n, others = ours.shape[1], theirs.shape[1]
    s = ours.std(1, ddof=1)
    if others == 1:
        return s * np.sqrt(1 / n + 1 / case.runs), np.full(len(ours), n - 1.0)
    spreads = np.stack([s, theirs.std(1, ddof=1)])
    freedoms = np.array([[n - 1.0], [others - 1.0]])
    counted = np.where(spreads > 0, freedoms, 0.0)
    df = np.where(counted.any(0), counted.sum(0), freedoms.sum())
    error = np.sqrt((counted * spreads**2).sum(0) / df * (1 / n + 1 / others))
    if case.formula == "pooled":
        return error, df
    parts = spreads**2 / np.array([[n], [others]])
    is_whole = (spreads > 0).all(0)
    weights = np.where(is_whole, (parts**2 / freedoms).sum(0), 1.0)
    return np.where(is_whole, np.sqrt(parts.sum(0)), error), np.where(
        is_whole, parts.sum(0) ** 2 / weights, df
    )


def check(case: Case, ours: Array, theirs: Array) -> None:
    """Raise AssertionError where the harness finds anything else in a report."""
    for each, others, found in zip(ours, theirs, judge(case, ours, theirs), strict=True):
        assert by_harness(case, each, others)[0] == FINDINGS[found], (case, each, others)


def by_harness(
    case: Case, ours: Array, theirs: Array, first: int | None = None
) -> tuple[Finding, int | None]:
    """Return what the harness finds in one report, and how many seeds would settle it.

    Where the `first` seeds decided how many there are, they alone give the spread.
    """
    own = summary((ours / IMAGES).tolist(), first)
    published = (theirs / IMAGES).tolist()
    if case.formula == "welch":
        difference = welch(own, summary(published), SLACK / IMAGES)
        assert difference is not None
        return finding(difference, MARGIN / IMAGES), None
    found = verdict(own, published, runs=case.runs, margin=MARGIN / IMAGES, slack=SLACK / IMAGES)
    assert found is not None
    return found.finding, found.seeds


@dataclass(frozen=True)
class Rates:
    """The shares of reports that said REPRODUCED and DIFFERS."""

    reproduced: float
    differs: float


def rates(
    case: Case,
    n: int,
    std_points: float,
    difference_points: float,
    reports: int,
    seed: int,
    checked: int = 100,
) -> Rates:
    """Simulate reports, and hold some of them against the harness."""
    chance = np.random.default_rng([seed, n, *case.name.encode()])
    ours, theirs = draw(case, n, std_points, difference_points, reports, chance)
    check(case, ours[:checked], theirs[:checked])
    found = np.bincount(judge(case, ours, theirs), minlength=4) / reports
    return Rates(float(found[1]), float(found[2] + found[3]))
