"""How many seeds settle an open verdict, and when no number of seeds does."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from harness.report.verdict import Finding, finding, seeds_to_settle, verdict
from harness.stats import Difference, Summary, against_mean, pooled, summary
from tests.support.samples import MARGIN


def settled(ours: Summary, published: list[float], n: int, **options: float) -> Finding:
    """Return what n values of ours would find beside a published value, were mean and spread to stay."""
    found = against_mean(
        replace(ours, n=n, df=n - 1), published[0], int(options.get("runs", 1)), options.get("slack", 0.0)
    )
    assert found is not None
    return finding(found, MARGIN)


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
