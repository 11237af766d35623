"""Reports whose number of seeds follows from their results, judged by the harness itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from benchmarks.simulated_verdicts import IMAGES, POINT, Case, Rates, by_harness, draw
from harness.stats import stein_size

START, CAP = 3, 50
AT_LEAST, HALF_WIDTH_POINTS = 5, 0.1


@dataclass(frozen=True)
class Followed:
    """What comes of such reports.

    `advised` is the share that was given a number of seeds, `settled` how many of these that number settled.
    """

    rates: Rates
    advised: float = 0.0
    settled: float = 0.0


def follow(case: Case, std_points: float, difference_points: float, reports: int, seed: int) -> Followed:
    """Start with three seeds, and train as many as INCONCLUSIVE asks for, again and again, up to CAP."""
    chance = np.random.default_rng([seed, *case.name.encode()])
    ours, theirs = draw(case, CAP, std_points, difference_points, reports, chance)
    ends: Counter[str] = Counter()
    advised = settled = 0
    for each, others in zip(ours, theirs, strict=True):
        found, seeds = by_harness(case, each[:START], others)
        looks = 0
        while seeds is not None and seeds <= CAP:
            looks += 1
            found, seeds = by_harness(case, each[:seeds], others)
        advised += looks > 0
        settled += looks == 1 and found != "open"
        ends[found] += 1
    return Followed(_rates(ends), advised / reports, settled / max(advised, 1))


def adapt(case: Case, std_points: float, difference_points: float, reports: int, seed: int) -> Followed:
    """Let the spread of the first seeds alone decide how many there are (Stein), and judge once."""
    chance = np.random.default_rng([seed, *case.name.encode()])
    ours, theirs = draw(case, CAP, std_points, difference_points, reports, chance)
    ends: Counter[str] = Counter()
    for each, others in zip(ours, theirs, strict=True):
        size = stein_size((each[:AT_LEAST] / IMAGES).tolist(), HALF_WIDTH_POINTS * POINT / IMAGES)
        ends[by_harness(case, each[: min(size, CAP)], others, AT_LEAST)[0]] += 1
    return Followed(_rates(ends))


def _rates(ends: Counter[str]) -> Rates:
    return Rates(ends["within"] / ends.total(), (ends["above"] + ends["below"]) / ends.total())
