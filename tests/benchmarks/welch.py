"""Whether two samples have the same mean within a margin: two one-sided Welch t-tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEVEL = 0.05


@dataclass(frozen=True)
class Equivalence:
    """The larger of both p-values, and the 90 % interval of the difference of means; NaN if there is none."""

    p: float
    low: float
    high: float

    @property
    def is_shown(self) -> bool:
        """Tell whether the means differ by less than the margin, at the 5 % level."""
        return not math.isnan(self.p) and self.p < LEVEL


def equivalence(values: Sequence[float], reference: Sequence[float], margin: float) -> Equivalence:
    """Test whether mean(values) - mean(reference) lies within ± margin.

    D. Schuirmann, "A comparison of the two one-sided tests procedure and the power approach", 1987, with the
    degrees of freedom of B. Welch, 1947. Each sample needs two values, and one of them a spread.
    """
    from scipy import stats

    if min(len(values), len(reference)) < 2 or len(set(values)) == len(set(reference)) == 1:
        return Equivalence(math.nan, math.nan, math.nan)
    above = stats.ttest_ind([x + margin for x in values], reference, equal_var=False, alternative="greater")
    below = stats.ttest_ind([x - margin for x in values], reference, equal_var=False, alternative="less")
    both = stats.ttest_ind(values, reference, equal_var=False)
    low, high = both.confidence_interval(1 - 2 * LEVEL)
    return Equivalence(float(max(above.pvalue, below.pvalue)), float(low), float(high))
