"""The simulated verdicts keep what they promise, and the page says where they cannot."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from benchmarks import simulated_intervals as intervals
from benchmarks.contestant import ROOT
from benchmarks.simulated_advice import adapt, follow
from benchmarks.simulated_results import EDGE, SEEDS, STDS, simulated
from benchmarks.simulated_verdicts import (
    CASES,
    MEAN,
    ONE_RUN,
    POOLED,
    SKEWED,
    UNEQUAL,
    WELCH,
    Case,
    Rates,
    check,
    draw,
    rates,
)
from benchmarks.verdicts_page import page

REPORTS = 4000
# A rate of 5 % is within five standard errors for good; seeds are fixed besides.
FIVE_ERRORS = 5 * math.sqrt(0.05 * 0.95 / REPORTS)
JUDGED = [ONE_RUN, MEAN, POOLED]


@cache
def found(case: Case, n: int, std: float, difference: float) -> Rates:
    return rates(case, n, std, difference, REPORTS, seed=1, checked=10)


@pytest.mark.parametrize("case", [*CASES, *UNEQUAL, *SKEWED])
@pytest.mark.parametrize("std", [0.0, 0.005, 0.2])
def test_the_simulation_judges_as_the_harness_does(case: Case, std: float) -> None:
    chance = np.random.default_rng(3)
    for n in (2, 3, 10):
        for difference in (0.0, 0.3, -EDGE):
            check(case, *draw(case, n, std, difference, 10, chance))


@pytest.mark.parametrize("case", JUDGED)
@pytest.mark.parametrize("std", STDS)
@pytest.mark.parametrize("n", SEEDS)
def test_no_verdict_is_wrong_more_often_than_it_may(case: Case, std: float, n: int) -> None:
    assert found(case, n, std, 0.0).differs <= 0.05 + FIVE_ERRORS
    assert found(case, n, std, EDGE).reproduced <= 0.05 + FIVE_ERRORS


@pytest.mark.parametrize("case", JUDGED)
@pytest.mark.parametrize("n", [3, 20])
def test_the_levels_are_used_up_where_they_can_be(case: Case, n: int) -> None:
    # Seeds that spread by twice the margin are hardly ever REPRODUCED: nothing is taken from the 5 %.
    assert found(case, n, 1.0, 0.0).differs == pytest.approx(0.05, abs=FIVE_ERRORS)
    # Nor from the other 5 % by the other side, where seeds spread by a fifth of it.
    assert found(case, n, 0.1, EDGE).reproduced == pytest.approx(0.05, abs=FIVE_ERRORS)


def test_more_seeds_settle_more_unless_the_published_run_is_too_uncertain() -> None:
    power = [found(ONE_RUN, n, 0.2, 0.0).reproduced for n in SEEDS]
    assert power == sorted(power)
    assert power[0] < 0.35 < power[-1]
    assert all(found(ONE_RUN, n, 0.5, 0.0).reproduced < 0.05 for n in SEEDS)
    differs = [found(ONE_RUN, n, 0.2, 1.0).differs for n in SEEDS]
    assert differs == sorted(differs)
    assert differs[-1] > 0.95


def test_only_welch_allows_for_another_spread() -> None:
    theirs_wide = [replace(case, ratio=2.5) for case in (ONE_RUN, POOLED, WELCH)]
    one, pooled, welch = (found(case, 20, 0.2, 0.0).differs for case in theirs_wide)
    assert min(one, pooled) > 0.15
    assert welch < 0.05 + 2 * FIVE_ERRORS


def test_seeds_added_because_of_what_was_found_break_the_promise_and_steins_do_not() -> None:
    reports = 500
    five_errors = 5 * math.sqrt(0.05 * 0.95 / reports)
    assert follow(ONE_RUN, 0.5, 0.0, reports, seed=1).rates.differs > 0.06
    assert adapt(ONE_RUN, 0.5, 0.0, reports, seed=1).rates.differs <= 0.05 + five_errors
    assert adapt(MEAN, 0.2, EDGE, reports, seed=1).rates.reproduced <= 0.05 + five_errors


@pytest.mark.parametrize("n", SEEDS)
def test_students_interval_holds_the_mean_as_often_as_it_says(n: int) -> None:
    assert intervals.student(n, REPORTS, seed=1).held == pytest.approx(0.95, abs=FIVE_ERRORS)


def test_a_percentile_bootstrap_of_three_seeds_does_not() -> None:
    assert intervals.bootstrap(3, REPORTS, seed=1).held == pytest.approx(0.75, abs=2 * FIVE_ERRORS)


@pytest.mark.parametrize("at_least", [3, 5, 10])
@pytest.mark.parametrize("cap", [None, 50])
def test_steins_interval_holds_the_mean_with_a_cap_or_without(at_least: int, cap: int | None) -> None:
    for half_width in (0.2, 0.5):
        coverage = intervals.stein(at_least, half_width, cap, REPORTS, seed=1)
        assert coverage.held == pytest.approx(0.95, abs=FIVE_ERRORS)
        assert coverage.seeds >= at_least
        assert (coverage.capped > 0) == (cap is not None)


def test_looking_after_every_seed_holds_it_less_often() -> None:
    coverage = intervals.looks(3, 0.5, 100, REPORTS, seed=1)
    assert coverage.held < 0.95 - FIVE_ERRORS
    assert coverage.capped == 0


def test_the_committed_page_has_the_tables_that_are_made() -> None:
    made = page(simulated(10), "today")
    committed = (ROOT / "results" / "bench" / "verdicts.md").read_text(encoding="utf-8")
    assert "nan" not in made
    assert skeleton(committed) == skeleton(made)


def skeleton(text: str) -> list[object]:
    """Return the headings, and the first two cells of all rows without percentages."""
    return [
        line if line.startswith("#") else line.split("|")[1:3]
        for line in re.sub(r"[\d.]+ %", "%", text).splitlines()
        if line.startswith(("#", "|"))
    ]
