"""Means, spreads and intervals, each against scipy's own or by hand."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from harness.stats import (
    Difference,
    Summary,
    against_mean,
    binomial_half_width,
    paired,
    pooled,
    stein_size,
    summary,
    t_quantile,
    welch,
)
from tests.support import ROOT

LEVELS = (0.5, 0.9, 0.95, 0.99)


def exactly(expected: float) -> object:
    return pytest.approx(expected, rel=1e-12, abs=1e-15)


def samples(n: int, seed: int) -> list[list[float]]:
    """Return accuracies of two sides of up to n values, at many spreads."""
    chance = random.Random(seed)
    return [
        [chance.gauss(0.9, chance.choice((1e-4, 2e-3, 0.05))) for _ in range(chance.randint(2, n))]
        for _ in range(2)
    ]


def test_the_standard_deviation_is_the_samples() -> None:
    found = summary([2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])
    assert (found.n, found.mean, found.minimum, found.maximum) == (8, 5.0, 2.0, 9.0)
    assert found.std == pytest.approx((32 / 7) ** 0.5, rel=1e-15)  # ddof=0 would give 2.0
    assert (found.spread, found.df) == (found.std, 7)


def test_one_value_has_no_spread_and_no_interval() -> None:
    found = summary([0.5])
    assert found == Summary(1, 0.5, None, 0.5, 0.5, None, 0)
    assert found.half_width() is None
    assert found.interval() is None


def test_one_value_has_no_difference() -> None:
    one, three = summary([0.5]), summary([0.5, 0.6, 0.7])
    assert against_mean(one, 0.4) is None
    assert paired([0.1]) is None
    for difference in (pooled, welch):
        assert difference(one, three) is None
        assert difference(three, one) is None
        assert difference(one, one) is None


def test_the_order_of_values_does_not_matter() -> None:
    values = [0.1, 0.7, 0.2, 1e-9, 123456.789]
    assert summary(values) == summary(values[::-1]) == summary(sorted(values))
    chance = random.Random(1)
    values = [chance.random() for _ in range(50)]
    for _ in range(20):
        shuffled = chance.sample(values, len(values))
        assert summary(shuffled) == summary(values)
        assert paired(shuffled) == paired(values)


def test_no_hash_seed_changes_a_figure() -> None:
    code = (
        "from harness.stats import summary, welch\n"
        "a, b = summary([.91, .92, .9]), summary([.93, .9, .94])\n"
        "print(a, a.interval(), welch(a, b))"
    )
    texts = set()
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        texts.add(run.stdout)
    assert len(texts) == 1


@pytest.mark.parametrize("seed", range(50))
@pytest.mark.parametrize("level", LEVELS)
def test_the_interval_is_students(seed: int, level: float) -> None:
    for values in samples(30, seed):
        found = summary(values).interval(level)
        expected = stats.t.interval(level, len(values) - 1, np.mean(values), stats.sem(values))
        assert found == (exactly(expected[0]), exactly(expected[1]))
        half = summary(values).half_width(level)
        assert half == pytest.approx((expected[1] - expected[0]) / 2, rel=1e-10)


@pytest.mark.parametrize("seed", range(50))
@pytest.mark.parametrize(("difference", "equal"), [(pooled, True), (welch, False)])
def test_two_samples_are_compared_as_scipy_does(seed: int, difference: object, equal: bool) -> None:
    ours, theirs = samples(12, seed)
    found = (pooled if difference is pooled else welch)(summary(ours), summary(theirs))
    assert found is not None
    expected = stats.ttest_ind(ours, theirs, equal_var=equal)
    assert found.df == exactly(expected.df)
    assert found.estimate / found.standard_error == pytest.approx(expected.statistic, rel=1e-11)
    for level in LEVELS:
        interval = expected.confidence_interval(level)
        assert found.interval(level) == (exactly(interval.low), exactly(interval.high))


@pytest.mark.parametrize("seed", range(50))
def test_pairs_are_compared_as_scipy_does(seed: int) -> None:
    chance = random.Random(seed)
    ours = [chance.random() for _ in range(chance.randint(2, 12))]
    theirs = [chance.random() for _ in ours]
    found = paired([a - b for a, b in zip(ours, theirs, strict=True)])
    assert found is not None
    expected = stats.ttest_rel(ours, theirs)
    assert found.df == expected.df
    for level in LEVELS:
        interval = expected.confidence_interval(level)
        assert found.interval(level) == (exactly(interval.low), exactly(interval.high))


@pytest.mark.parametrize("runs", [1, 3, 10])
@pytest.mark.parametrize("n", [2, 3, 20])
def test_a_published_mean_is_met_by_a_prediction_interval(n: int, runs: int) -> None:
    chance = random.Random(n)
    ours = [chance.gauss(0.9, 0.01) for _ in range(n)]
    found = against_mean(summary(ours), 0.89, runs)
    assert found is not None
    expected = stats.t.ppf(0.975, n - 1) * np.std(ours, ddof=1) * math.sqrt(1 / n + 1 / runs)
    assert (found.estimate, found.df) == (exactly(float(np.mean(ours)) - 0.89), n - 1)
    assert found.half_width() == exactly(expected)


def test_a_published_run_by_hand() -> None:
    found = against_mean(summary([0.93, 0.94, 0.95]), 0.95)
    assert found is not None
    assert found.half_width() == pytest.approx(4.30265 * 0.01 * math.sqrt(4 / 3), abs=1e-6)


@pytest.mark.parametrize("n", [1, 10, 100, 10000])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_the_error_of_the_test_set_is_wilsons(n: int, share: float) -> None:
    for level in LEVELS:
        expected = stats.binomtest(round(share * n), n).proportion_ci(level, method="wilson")
        found = binomial_half_width(round(share * n) / n, n, level)
        assert found == exactly((expected.high - expected.low) / 2)


@pytest.mark.parametrize("probability", [0.05, 0.5, 0.9, 0.95, 0.975, 0.999])
def test_quantiles_are_scipys(probability: float) -> None:
    for df in (1, 2, 2.941, 3, 10, 57.3, 999, 10**9):
        assert t_quantile(probability, df) == exactly(stats.t.ppf(probability, df))
    assert t_quantile(probability, math.inf) == exactly(stats.norm.ppf(probability))


def test_slack_widens_on_both_sides_at_every_level() -> None:
    ours, theirs = summary([0.90, 0.91, 0.93]), summary([0.90, 0.92, 0.95])
    for narrow, wide in (
        (against_mean(ours, 0.9), against_mean(ours, 0.9, slack=0.005)),
        (pooled(ours, theirs), pooled(ours, theirs, 0.005)),
        (welch(ours, theirs), welch(ours, theirs, 0.005)),
    ):
        assert narrow is not None
        assert wide is not None
        for level in LEVELS:
            (low, high), (lower, higher) = narrow.interval(level), wide.interval(level)
            assert low - lower == pytest.approx(0.005)
            assert higher - high == pytest.approx(0.005)


@pytest.mark.parametrize("difference", [pooled, welch])
def test_without_a_spread_the_other_sides_is_taken_for_both(difference: object) -> None:
    flat, spread = summary([0.9] * 20), summary([0.90, 0.91, 0.92])
    compare = pooled if difference is pooled else welch
    found, turned = compare(flat, spread), compare(spread, flat)
    assert found is not None
    assert turned is not None
    assert (found.df, turned.df) == (2, 2)  # not 21: twenty equal values do not make the spread surer
    assert found.standard_error == exactly(0.01 * math.sqrt(1 / 20 + 1 / 3))
    assert turned.standard_error == found.standard_error


def test_without_any_spread_nothing_is_divided_by() -> None:
    flat, other = summary([0.9] * 3), summary([0.8] * 4)
    assert pooled(flat, other) == welch(flat, other) == Difference(flat.mean - other.mean, 0.0, 5)
    assert against_mean(flat, 0.8) == Difference(flat.mean - 0.8, 0.0, 2)
    assert paired([0.1, 0.1]) == Difference(0.1, 0.0, 1)
    assert flat.interval() == (flat.mean, flat.mean)


def test_pairs_that_differ_by_the_same_have_no_spread_from_the_rounding_of_floats() -> None:
    differences = [0.9 - 0.8, 0.8 - 0.7, 0.3 - 0.2]
    assert len(set(differences)) > 1
    found = paired(differences)
    assert found is not None
    assert found.standard_error == 0
    found = paired([0.0, 0.0, 1e-4])  # one image of 10,000, in one pair
    assert found is not None
    assert found.standard_error > 0


@pytest.mark.parametrize("values", [[0.0] * 3, [1.0] * 3, [1e-300, 2e-300], [0.0, 1.0], [1e-300, 1.0]])
@pytest.mark.parametrize("others", [[0.0] * 2, [1.0] * 1000, [1e-300, 3e-300], [1e-90, 2e-90]])
def test_extreme_values_leave_finite_figures(values: Sequence[float], others: Sequence[float]) -> None:
    ours, theirs = summary(values), summary(others)
    for found in (pooled(ours, theirs), welch(ours, theirs), against_mean(ours, others[0])):
        assert found is not None
        assert 1 <= found.df <= ours.df + theirs.df + 1e-9
        assert all(map(math.isfinite, found.interval()))


def test_a_thousand_values() -> None:
    chance = random.Random(3)
    values = [chance.gauss(0.9, 0.01) for _ in range(1000)]
    found = summary(values)
    exact = sum(map(Fraction, values)) / 1000
    assert found.mean == float(exact)
    assert found.std == exactly(math.sqrt(sum((Fraction(each) - exact) ** 2 for each in values) / 999))


def test_steins_size_by_hand() -> None:
    # s₀ = 0.01 and t(0.975, 2) = 4.302653: (4.302653 × 0.01 / d)² is 18.5128 for d = 0.01, 74.05 for 0.005.
    first = [0.90, 0.91, 0.92]
    assert (stein_size(first, 0.01), stein_size(first, 0.005)) == (19, 75)
    assert stein_size(first, 0.05) == 3  # 0.74, and there are three already
    assert stein_size([0.9] * 5, 0.001) == 5


@pytest.mark.parametrize("seed", range(30))
def test_steins_size_is_the_least_that_is_narrow_enough(seed: int) -> None:
    chance = random.Random(seed)
    first = [chance.gauss(0.9, 0.003) for _ in range(chance.randint(2, 10))]
    size = stein_size(first, 0.001)

    def half_width(n: int) -> float:
        found = summary([*first, *[0.9] * (n - len(first))], first=len(first)).half_width()
        assert found is not None
        return found

    assert half_width(size) <= 0.001 * (1 + 1e-12)
    assert size == len(first) or half_width(size - 1) > 0.001


def test_under_stein_the_first_values_alone_give_the_spread() -> None:
    first, more = [0.90, 0.91, 0.92], [0.5, 0.99, 0.7, 0.8]
    found, alone, all_of_them = summary([*first, *more], first=3), summary(first), summary([*first, *more])
    assert (found.spread, found.df) == (alone.std, 2)
    assert (found.n, found.mean, found.std) == (7, all_of_them.mean, all_of_them.std)
    assert found.half_width() == exactly(stats.t.ppf(0.975, 2) * 0.01 / math.sqrt(7))
    assert summary([*first, *more], first=7) == summary([*first, *more], first=9) == all_of_them
    assert summary([*first, *more], first=1) == all_of_them  # one value decides nothing


def test_differences_take_the_spread_that_stein_gives() -> None:
    ours, theirs = summary([0.90, 0.91, 0.92, 0.5, 0.99], first=3), summary([0.90, 0.93])
    found = [against_mean(ours, 0.9), pooled(ours, theirs), welch(ours, theirs)]
    errors = [0.01 * math.sqrt(6 / 5), math.sqrt((2 * 1e-4 + 4.5e-4) / 3 * (1 / 5 + 1 / 2))]
    errors += [math.sqrt(1e-4 / 5 + 4.5e-4 / 2)]
    assert [each.standard_error for each in found if each] == [exactly(error) for error in errors]
    assert [each.df for each in found[:2] if each] == [2, 3]
