"""Rounding of published accuracies, inferred from the digits with which they are given."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from harness.config.published import Published
from harness.config.suite import Suite


def rounding(published: Published) -> float:
    """Return the step to which published testing accuracies were rounded, as a fraction.

    Unless the suite gives it, it is the last digit that any of them has: 0.85 beside 0.8264 was 0.8500.
    """
    if published.rounding_points is not None:
        return published.rounding_points / 100
    given = (value for each in published.experiments.values() for value in each.test_accuracy or [])
    digits = [-int(Decimal(repr(value)).as_tuple().exponent) for value in given]
    return float(Decimal(1).scaleb(-max(digits, default=0)))


def coarse(suite: Suite) -> Iterator[str]:
    """Yield a warning for each experiment with a published accuracy too coarse to be reproduced.

    Its interval is wider by half the step on each side. If that is the margin or more, no number of seeds can
    show that the difference is within it. A step that the suite gives is taken as meant.
    """
    published = suite.published
    if published is None or published.dataset != suite.dataset.name or published.rounding_points is not None:
        return
    points = 50 * rounding(published)
    if points < published.margin_points:
        return
    for name, figures in published.experiments.items():
        if values := figures.test_accuracy:
            given = ", ".join(map(repr, values))
            yield (
                f"warning: {suite.folder}: {name}: by its last digit the published accuracy {given} is "
                f"rounded to ±{points:g} points; with a margin of ±{published.margin_points:g} no number of "
                "seeds can show REPRODUCED. If the source has more digits (YAML drops the zeros of 0.9000), "
                "set `published: {rounding_points: 0.01}`"
            )
