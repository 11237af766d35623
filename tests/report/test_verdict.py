"""What may be concluded: within, above and below only on evidence, and how many seeds an open one needs."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace

import pytest
from scipy import stats

from harness.report.verdict import Finding, finding, seeds_to_settle, verdict
from harness.stats import Difference, Summary, against_mean, pooled, summary, welch

MARGIN = 0.005


def settled(ours: Summary, published: list[float], n: int, **options: float) -> Finding:
    """Return what n values of ours would find beside a published value, were mean and spread to stay."""
    found = against_mean(
        replace(ours, n=n, df=n - 1), published[0], int(options.get("runs", 1)), options.get("slack", 0.0)
    )
    assert found is not None
    return finding(found, MARGIN)


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
    one = verdict(ours, [0.91], runs=1, margin=MARGIN, slack=1e-4)
    mean = verdict(ours, [0.91], runs=4, margin=MARGIN, slack=1e-4)
    several = verdict(ours, three, runs=3, margin=MARGIN, slack=1e-4)
    assert one is not None
    assert mean is not None
    assert several is not None
    assert one.difference == against_mean(ours, 0.91, 1, 1e-4)
    assert mean.difference == against_mean(ours, 0.91, 4, 1e-4)
    assert several.difference == pooled(ours, summary(three), 1e-4)
    assert several.sensitivity == welch(ours, summary(three), 1e-4) != several.difference
    assert one.sensitivity is mean.sensitivity is None


@pytest.mark.parametrize("runs", [1, 3])
def test_the_seeds_that_settle_are_the_least(runs: int) -> None:
    chance = random.Random(runs)
    counted = 0
    for _ in range(200):
        ours = summary([chance.gauss(0.9, 0.002) for _ in range(chance.randint(2, 6))])
        published = [0.9 + chance.choice((0, 0.001, 0.003, 0.006))]
        found = verdict(ours, published, runs=runs, margin=MARGIN, slack=5e-5)
        assert found is not None
        if found.finding != "open":
            assert found.seeds is None
            continue
        if found.seeds is None:
            tried = (*range(ours.n, 200), 10**4, 10**6, 10**8)
            assert all(settled(ours, published, n, runs=runs, slack=5e-5) == "open" for n in tried)
            continue
        counted += 1
        assert found.seeds > ours.n
        assert settled(ours, published, found.seeds, runs=runs, slack=5e-5) != "open"
        assert settled(ours, published, found.seeds - 1, runs=runs, slack=5e-5) == "open"
    assert counted > 20


def test_no_number_of_seeds_settles_beside_one_published_run_that_is_too_noisy() -> None:
    # The half-width stays above 1.645 s however many seeds: within needs 1.645 s < margin.
    spread, values = 0.004, [-1.0, 0.0, 1.0]
    ours = summary([0.9 + spread * each for each in values])
    found = verdict(ours, [0.9], runs=1, margin=1.644 * spread)
    assert found is not None
    assert (found.finding, found.seeds) == ("open", None)
    found = verdict(ours, [0.9], runs=1, margin=1.646 * spread)
    assert found is not None
    assert found.finding == "open"
    assert found.seeds is not None
    assert found.seeds > 100
    # Beside the mean of many runs some number does.
    found = verdict(ours, [0.9], runs=30, margin=1.644 * spread)
    assert found is not None
    assert found.seeds is not None


def test_no_number_settles_a_difference_of_the_margin_itself_beside_one_run() -> None:
    ours = summary([0.899, 0.900, 0.901])
    found = verdict(ours, [0.9 + 0.0019], runs=1, margin=0.0019)
    assert found is not None
    assert (found.finding, found.seeds) == ("open", None)


def test_a_surer_spread_needs_fewer_seeds() -> None:
    needed = []
    for spread in (0.0005, 0.001, 0.0015, 0.002, 0.0025):
        ours = Summary(2, 0.9, spread, 0.9, 0.9, spread, 1)
        found = verdict(ours, [0.9005], runs=1, margin=MARGIN)
        assert found is not None
        needed.append(found.seeds or 2)
    assert needed == sorted(needed)
    assert needed[0] < needed[-1]


@pytest.mark.parametrize("seed", range(40))
def test_the_seeds_that_settle_beside_several_values_are_the_least_at_the_pooled_spread(seed: int) -> None:
    chance = random.Random(seed)
    ours = summary([chance.gauss(0.9, 0.006) for _ in range(3)])
    theirs = summary([chance.gauss(0.903, 0.001) for _ in range(chance.choice((2, 5, 40)))])
    published = [theirs.mean - theirs.spread, theirs.mean + theirs.spread] if theirs.spread else []
    found = verdict(ours, published, runs=2, margin=MARGIN)
    assert found is not None
    theirs = summary(published)
    spread = found.difference.standard_error / math.sqrt(1 / 3 + 1 / 2)

    def at(n: int) -> Finding:
        then = pooled(replace(ours, n=n, df=n - 1, spread=spread), replace(theirs, spread=spread))
        assert then is not None
        return finding(then, MARGIN)

    if found.seeds is not None:
        assert at(found.seeds) != "open"
        assert found.seeds == 4 or at(found.seeds - 1) == "open"
    elif found.finding == "open":
        assert all(at(n) == "open" for n in (*range(4, 200), 10**6))


def test_seeds_are_forecast_at_one_spread_so_that_more_are_never_less_sure() -> None:
    # Ours vary, theirs hardly: pooling as n grows would let our spread weigh more and the interval widen.
    ours, theirs = summary([0.898, 0.902]), [0.9000 + 0.00001 * each for each in range(5)]
    found = verdict(ours, theirs, runs=5, margin=0.0015)
    assert found is not None
    assert found.finding == "open"
    assert found.seeds == 6
    theirs_now = summary(theirs)
    naive = seeds_to_settle(ours, lambda then: pooled(then, theirs_now), 0.0015)
    assert naive is None


def test_under_stein_a_forecast_starts_at_what_there_is() -> None:
    ours = summary([0.898, 0.900, 0.902, 0.8995, 0.9005], first=3)
    found = verdict(ours, [0.9], runs=1, margin=MARGIN)
    assert found is not None
    assert found.difference.df == 2
    assert found.seeds is not None
    assert found.seeds > 5


def test_seeds_to_settle_reaches_any_number() -> None:
    ours = summary([0.899, 0.900, 0.901])
    margin = 0.0019
    for gap in (1e-3, 1e-6, 1e-8):

        def difference(then: Summary, edge: float = gap) -> Difference:
            return Difference(0.0, math.sqrt(1 / then.n), math.inf, margin - edge)

        n = seeds_to_settle(ours, difference, margin)
        least = math.ceil((1.6448536269514722 / gap) ** 2)
        assert n == (least if least < 10**9 else None)
    at_last = seeds_to_settle(
        ours, lambda then: Difference(0.0, 1.0 if then.n < 10**9 else 1e-9, math.inf), margin
    )
    assert at_last == 10**9


def test_what_is_settled_asks_for_no_seeds() -> None:
    ours = summary([0.900, 0.901, 0.902])
    for published in ([0.8], [0.901], [0.8, 0.801, 0.802], [0.900, 0.901, 0.902]):
        found = verdict(ours, published, runs=30, margin=MARGIN)
        assert found is not None
        assert found.finding in ("within", "above")
        assert found.seeds is None
