"""Stein's rule: how many values are enough, and the spread that the first values give."""

from __future__ import annotations

import math
import random

import pytest
from scipy import stats

from harness.stats import against_mean, pooled, stein_size, summary, welch
from tests.support.samples import exactly


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
