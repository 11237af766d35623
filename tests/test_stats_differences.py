"""Differences of two samples, of pairs and from a published mean, each against scipy's own or by hand."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from harness.stats import Difference, against_mean, paired, pooled, summary, welch
from tests.support.samples import LEVELS, exactly, samples


def test_one_value_has_no_difference() -> None:
    one, three = summary([0.5]), summary([0.5, 0.6, 0.7])
    assert against_mean(one, 0.4) is None
    assert paired([0.1]) is None
    for difference in (pooled, welch):
        assert difference(one, three) is None
        assert difference(three, one) is None
        assert difference(one, one) is None


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
