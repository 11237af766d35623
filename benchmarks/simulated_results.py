"""All that is simulated of verdicts and intervals, by case, spread, difference and number of seeds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import simulated_intervals as intervals
from benchmarks.simulated_advice import CAP, Followed, adapt, follow
from benchmarks.simulated_intervals import Coverage
from benchmarks.simulated_verdicts import (
    CASES,
    MARGIN,
    MEAN,
    ONE_RUN,
    POINT,
    SKEWED,
    UNEQUAL,
    Case,
    Rates,
    rates,
)

SEED = 5
SEEDS = (3, 5, 10, 20)
STDS = (0.2, 0.5)
EDGE = MARGIN / POINT
DIFFERENCES = (0.0, EDGE, 1.0, 2.0)
FIRST = (3, 5, 10)
# How many standard deviations wide to either side: 0.1 points where seeds spread by 0.2, and by 0.5.
HALF_WIDTHS = (0.5, 0.2)
LOOKS_CAP = 300

Name = tuple[Case, float]
ByN = dict[tuple[int, float], Rates]


@dataclass(frozen=True)
class Results:
    """Everything that was simulated; by case and standard deviation in points, then by what is varied."""

    trials: int
    rates: dict[Name, ByN]
    followed: dict[Name, dict[float, Followed]]
    adapted: dict[Name, dict[float, Followed]]
    students: dict[int, Coverage]
    bootstraps: dict[int, Coverage]
    sizes: dict[tuple[str, int], list[Coverage]]

    def of(self, *, plain: bool) -> list[Name]:
        """List the cases where all is as the formulas suppose, or those where it is not."""
        return [name for name in self.rates if ((name[0].ratio, name[0].low) == (1, 0)) == plain]


def simulated(trials: int) -> Results:
    """Simulate all of it; what is slow a tenth as often."""
    fewer = max(trials // 10, 1)
    names = [(case, std) for case in CASES for std in STDS]
    names += [(case, 0.2 if case.ratio > 1 else 0.5) for case in UNEQUAL] + [(case, 0.2) for case in SKEWED]
    found = {
        (case, std): {
            (n, difference): rates(case, n, std, difference, trials, SEED)
            for n in SEEDS
            for difference in DIFFERENCES
        }
        for case, std in names
    }
    print("verdicts", file=sys.stderr, flush=True)
    followed, adapted = (
        {
            (case, std): {difference: rule(case, std, difference, fewer, SEED) for difference in (0.0, EDGE)}
            for case in (ONE_RUN, MEAN)
            for std in STDS
        }
        for rule in (follow, adapt)
    )
    print("advice", file=sys.stderr, flush=True)
    students = {n: intervals.student(n, trials, SEED) for n in SEEDS}
    bootstraps = {n: intervals.bootstrap(n, fewer, SEED) for n in SEEDS}
    return Results(trials, found, followed, adapted, students, bootstraps, _sizes(trials))


def _sizes(trials: int) -> dict[tuple[str, int], list[Coverage]]:
    rules: dict[str, Callable[[int, float], Coverage]] = {
        "Stein's two stages": lambda first, half: intervals.stein(first, half, None, trials, SEED),
        f"Stein's, {CAP} at most": lambda first, half: intervals.stein(first, half, CAP, trials, SEED),
        "looking after every seed": lambda first, half: intervals.looks(first, half, LOOKS_CAP, trials, SEED),
    }
    return {
        (name, first): [rule(first, half) for half in HALF_WIDTHS]
        for name, rule in rules.items()
        for first in FIRST
    }
