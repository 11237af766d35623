"""Statistical verdict on a difference: within the margin, above, below, or still open."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.stats import Difference, Summary, against_mean, decimal, pooled, summary, welch

Finding = Literal["within", "above", "below", "open"]

_ENDLESS = 10**9


@dataclass(frozen=True)
class Verdict:
    """Verdict on our mean against a published figure, both fractions.

    `seeds` is how many of ours would settle an open one if mean and spread stayed the same; None if no number
    can. `sensitivity` is the difference by Welch's t if several values were published.
    """

    finding: Finding
    difference: Difference
    seeds: int | None = None
    sensitivity: Difference | None = None


def finding(difference: Difference, margin: float) -> Finding:
    """Judge a difference, given that one inside ±`margin` does not matter.

    `within` by two one-sided t-tests at 5 % each, which is a 90 % interval inside the margin (Schuirmann,
    Journal of Pharmacokinetics and Biopharmaceutics 15, 1987, 657-680); `above` or `below` by a two-sided
    t-test at 5 %, which is a 95 % interval without zero. Values without spread show nothing: two or three
    seeds may have the same accuracy by chance, as accuracies are counts of whole images.
    """
    if difference.standard_error == 0:
        return "open"
    low, high = difference.interval(0.90)
    if -margin < low and high < margin:
        return "within"
    low, high = difference.interval(0.95)
    if low <= 0 <= high:
        return "open"
    return "above" if low > 0 else "below"


def verdict(
    ours: Summary, published: Sequence[float], *, runs: int, margin: float, slack: float = 0.0
) -> Verdict | None:
    """Judge our mean against one published value (the mean of `runs` runs) or several.

    `slack` is half the step to which the published values were rounded. Return None for one value of ours.
    """
    theirs = summary([decimal(each) for each in published])

    def difference(ours: Summary, theirs: Summary = theirs) -> Difference | None:
        if theirs.n > 1:
            return pooled(ours, theirs, slack)
        return against_mean(ours, decimal(published[0]), runs, slack)

    found = difference(ours)
    if found is None:
        return None
    judged = finding(found, margin)
    seeds = None
    if judged == "open" and theirs.n > 1:
        # Both sides are taken to have the pooled spread, so more of our values would show it, too.
        spread = found.standard_error / math.sqrt(1 / ours.n + 1 / theirs.n)
        theirs_then = replace(theirs, spread=spread)
        seeds = seeds_to_settle(
            replace(ours, spread=spread), lambda then: difference(then, theirs_then), margin
        )
    elif judged == "open":
        seeds = seeds_to_settle(ours, difference, margin)
    return Verdict(judged, found, seeds, welch(ours, theirs, slack))


def seeds_to_settle(
    ours: Summary, difference: Callable[[Summary], Difference | None], margin: float
) -> int | None:
    """Return the smallest number of our values that would settle the finding; None if none would.

    Means and spreads are assumed to stay as they are, so that `difference` gets no wider with more values.
    """

    def is_settled(n: int) -> bool:
        found = difference(replace(ours, n=n, df=n - 1))
        return found is not None and finding(found, margin) != "open"

    if not is_settled(_ENDLESS):
        return None
    more = range(ours.n + 1, _ENDLESS + 1)
    return more[bisect.bisect_left(more, True, key=is_settled)]
