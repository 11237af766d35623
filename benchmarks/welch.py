"""Whether two samples have the same mean within a margin: the harness's own tests, with a p-value beside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.report.verdict import finding
from harness.stats import summary, welch


@dataclass(frozen=True)
class Equivalence:
    """Whether it is shown, the larger of both p-values, and the 90 % interval of the difference of means.

    NaN where there are none.
    """

    is_shown: bool
    p: float
    low: float
    high: float


def equivalence(values: Sequence[float], reference: Sequence[float], margin: float) -> Equivalence:
    """Test whether mean(values) - mean(reference) lies within ± margin, at the 5 % level.

    Each sample needs two values, and one of them a spread.
    """
    from scipy import special

    difference = welch(summary(values), summary(reference))
    if difference is None or difference.standard_error == 0:
        return Equivalence(False, math.nan, math.nan, math.nan)
    outside = (abs(difference.estimate) - margin) / difference.standard_error
    p = float(special.stdtr(difference.df, outside))
    return Equivalence(finding(difference, margin) == "within", p, *difference.interval(0.90))
