"""Mean, spread and interval of one sample, each against scipy's own or by hand."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from harness.stats import Summary, binomial_half_width, paired, summary, t_quantile
from tests.support import ROOT
from tests.support.samples import LEVELS, exactly, samples


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


def test_a_thousand_values() -> None:
    chance = random.Random(3)
    values = [chance.gauss(0.9, 0.01) for _ in range(1000)]
    found = summary(values)
    exact = sum(map(Fraction, values)) / 1000
    assert found.mean == float(exact)
    assert found.std == exactly(math.sqrt(sum((Fraction(each) - exact) ** 2 for each in values) / 999))
