"""What may be concluded: within, above and below only on evidence."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
from scipy import stats

from harness.report.verdict import finding, verdict
from harness.stats import Difference, against_mean, decimal, pooled, summary, welch
from tests.support.samples import MARGIN


@pytest.mark.parametrize("seed", range(100))
def test_a_finding_is_what_scipys_tests_say(seed: int) -> None:
    chance = random.Random(seed)
    spread = chance.choice((0.001, 0.004))
    ours = [chance.gauss(0.9, spread) for _ in range(chance.randint(2, 8))]
    theirs = [chance.gauss(0.9 + chance.choice((0, 0.004, -0.01)), spread) for _ in range(4)]
    difference = pooled(summary(ours), summary(theirs))
    assert difference is not None
    up = stats.ttest_ind([x + MARGIN for x in ours], theirs, alternative="greater").pvalue
    down = stats.ttest_ind([x - MARGIN for x in ours], theirs, alternative="less").pvalue
    test = stats.ttest_ind(ours, theirs)
    expected = "open"
    if max(up, down) < 0.05:
        expected = "within"
    elif test.pvalue < 0.05:
        expected = "above" if test.statistic > 0 else "below"
    assert finding(difference, MARGIN) == expected


def test_the_levels_are_90_and_95_percent() -> None:
    # t(0.95, 9) = 1.8331 and t(0.975, 9) = 2.2622.
    assert finding(Difference(0.0, 1.0, 9), 1.85) == "within"
    assert finding(Difference(0.0, 1.0, 9), 1.82) == "open"
    assert finding(Difference(2.28, 1.0, 9), 0.1) == "above"
    assert finding(Difference(2.25, 1.0, 9), 0.1) == "open"
    assert finding(Difference(-2.28, 1.0, 9), 0.1) == "below"
    assert finding(Difference(-2.25, 1.0, 9), 0.1) == "open"


def test_within_is_judged_first() -> None:
    # Surely not zero, and surely less than the margin.
    assert finding(Difference(0.002, 0.0005, 30), MARGIN) == "within"
    assert finding(Difference(0.002, 0.0005, 30), 0.002) == "above"


def test_not_significant_alone_is_never_within() -> None:
    chance = random.Random(5)
    counted = 0
    for _ in range(2000):
        difference = Difference(chance.gauss(0, 0.01), chance.uniform(0.0001, 0.02), chance.randint(1, 30))
        low, high = difference.interval(0.95)
        if low <= 0 <= high and difference.half_width(0.90) >= MARGIN:
            counted += 1
            assert finding(difference, MARGIN) == "open"
    assert counted > 1000


def test_an_interval_that_touches_the_margin_is_not_within_and_one_that_touches_zero_not_above() -> None:
    difference = Difference(0.0, 1.0, 9)
    assert finding(difference, difference.half_width(0.90)) == "open"
    touching = Difference(difference.half_width(0.95), 1.0, 9)
    assert finding(touching, 0.01) == "open"


def test_rounding_turns_what_was_settled_into_what_is_not() -> None:
    ours = summary([0.9000, 0.9005, 0.9010])
    sure = verdict(ours, [0.9035], runs=1, margin=0.001, slack=0.0)
    rounded = verdict(ours, [0.9035], runs=1, margin=0.001, slack=0.005)
    assert sure is not None
    assert rounded is not None
    assert (sure.finding, rounded.finding) == ("below", "open")
    sure = verdict(ours, [0.9005], runs=1, margin=0.004, slack=0.0)
    rounded = verdict(ours, [0.9005], runs=1, margin=0.004, slack=0.005)
    assert sure is not None
    assert rounded is not None
    assert (sure.finding, rounded.finding) == ("within", "open")
    assert rounded.seeds is None  # no number of seeds narrows what was rounded away


def test_more_slack_never_settles_more() -> None:
    chance = random.Random(6)
    for _ in range(500):
        difference = Difference(chance.gauss(0, 0.01), chance.uniform(1e-4, 5e-3), chance.randint(1, 30))
        findings = [finding(replace(difference, slack=slack), MARGIN) for slack in (0, 1e-3, 3e-3, 1e-2)]
        for before, after in itertools.pairwise(findings):
            # A wider interval may lose `within` to `above`, where the difference is sure but small.
            assert after in (before, "open") or (before == "within" and after in ("above", "below"))


@pytest.mark.parametrize("published", [[0.8], [0.8, 0.8], [0.8] * 20])
@pytest.mark.parametrize("n", [2, 3, 50])
def test_no_spread_at_all_shows_nothing(published: list[float], n: int) -> None:
    for theirs in (published, [0.901] * len(published), [0.9] * len(published)):
        found = verdict(summary([0.9] * n), theirs, runs=1, margin=MARGIN)
        assert found is not None
        assert (found.finding, found.seeds) == ("open", None)


@pytest.mark.parametrize("n", [2, 3])
def test_seeds_that_come_to_the_same_by_chance_do_not_reproduce(n: int) -> None:
    """On few images seeds often tie; where the difference is the margin, 5 % may say `within`, not 15 %."""
    chance, images, reports = random.Random(7), 2000, 2000

    def run(mean: float) -> float:
        return round(chance.gauss(mean, 0.0003) * images) / images

    wrong = 0
    for _ in range(reports):
        ours = summary([run(0.9 + MARGIN) for _ in range(n)])
        found = verdict(ours, [sum(run(0.9) for _ in range(3)) / 3], runs=3, margin=MARGIN, slack=0.00005)
        wrong += found is not None and found.finding == "within"
    assert wrong / reports < 0.06


def test_no_spread_on_one_side_differs_by_the_others_alone() -> None:
    for ours, theirs in (([0.9] * 30, [0.91, 0.93, 0.95]), ([0.91, 0.93, 0.95], [0.9] * 30)):
        found = verdict(summary(ours), theirs, runs=1, margin=MARGIN)
        assert found is not None
        assert found.sensitivity is not None
        # Three values, 0.02 apart, do not tell 0.93 from 0.90, however often 0.90 is repeated.
        assert found.finding == finding(found.sensitivity, MARGIN) == "open"


def test_one_value_of_ours_has_no_verdict() -> None:
    for published in ([0.9], [0.9, 0.91, 0.92]):
        assert verdict(summary([0.9]), published, runs=1, margin=MARGIN) is None


def test_the_kind_of_published_figure_picks_the_formula() -> None:
    ours, three = summary([0.90, 0.905, 0.92]), [0.90, 0.91, 0.95]
    theirs = summary([decimal(each) for each in three])
    one = verdict(ours, [0.91], runs=1, margin=MARGIN, slack=1e-4)
    mean = verdict(ours, [0.91], runs=4, margin=MARGIN, slack=1e-4)
    several = verdict(ours, three, runs=3, margin=MARGIN, slack=1e-4)
    assert one is not None
    assert mean is not None
    assert several is not None
    assert one.difference == against_mean(ours, 0.91, 1, 1e-4)
    assert mean.difference == against_mean(ours, 0.91, 4, 1e-4)
    assert several.difference == pooled(ours, theirs, 1e-4)
    assert several.sensitivity == welch(ours, theirs, 1e-4) != several.difference
    assert one.sensitivity is mean.sensitivity is None
