"""Contrast of two experiments in one metric: their means, the difference and its verdict."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from harness.report.compare.metrics import ComparedMetric
from harness.report.compare.side import Side
from harness.report.verdict import finding, seeds_to_settle
from harness.stats import Difference, Summary, of_pairs, paired, summary, welch

Values = dict[int, float | Fraction]


@dataclass(frozen=True)
class Contrast:
    """Difference B - A in one metric.

    `pairs` holds B - A by seed, None if the seeds do not match. `obstacle` says why nothing can be
    concluded.
    """

    metric: ComparedMetric
    a: Summary | None
    b: Summary | None
    pairs: list[float | Fraction] | None = None
    estimate: float | None = None
    difference: Difference | None = None
    obstacle: str = ""

    @property
    def is_identical(self) -> bool:
        """Return whether both values are exactly equal in all pairs."""
        return bool(self.pairs) and not any(self.pairs or []) and self.metric.kind != "speed"

    @property
    def has_spread(self) -> bool:
        """Return whether there is an interval with a width above zero."""
        return self.difference is not None and self.difference.standard_error > 0

    def verdict(self, margin_points: float) -> str:
        """Return the verdict as text; accuracies alone have a margin within which they are equivalent."""
        if self.obstacle or self.difference is None:
            return f"none: {self.obstacle}"
        if self.is_identical:
            return "IDENTICAL"
        above, below = self.metric.words
        margin = margin_points / 100 if self.metric.kind == "accuracy" else 0.0
        found = finding(self.difference, margin)
        if found == "within":
            low, high = map(self.metric.amount, self.difference.interval(0.90))
            return f"EQUIVALENT ({low} to {high})"
        return {"above": above, "below": below, "open": f"INCONCLUSIVE{self._needed(margin)}"}[found]

    def _needed(self, margin: float) -> str:
        """Return, as text, how many pairs would settle an accuracy if mean and spread stayed the same."""
        if not self.has_spread:
            return ": no spread"
        if self.pairs is None or self.metric.kind != "accuracy":
            return ""
        number = seeds_to_settle(summary(self.pairs), of_pairs, margin)
        return "" if number is None else f": some {number:,} pairs would settle it"


def contrast(metric: ComparedMetric, a: Side, b: Side, obstacle: str = "") -> Contrast:
    """Compare one metric: by pairs if seeds match, else by Welch's t over all seeds.

    Seeds match if both sides share at least two of them, and at least half of the smaller side's: a few pairs
    out of many seeds tell less than all the seeds. A side with one seed shows its pair, if there is one. If a
    side's first results decided its number of seeds, Welch's t uses the spread of those, as the spread of all
    would be too small. The spread of paired differences decided nothing.
    """
    ours, theirs = _values(metric, a), _values(metric, b)
    if not ours or not theirs:
        return Contrast(metric, _mean(ours), _mean(theirs), obstacle=_nothing(a, b, ours, theirs))
    common = [seed for seed in ours if seed in theirs]
    fewer = min(len(ours), len(theirs))
    is_paired = len(common) >= min(2, fewer) and 2 * len(common) >= fewer
    if is_paired:
        ours, theirs = ({seed: side[seed] for seed in common} for side in (ours, theirs))
    scaled_a, scaled_b = ([metric.scaled(x) for x in side.values()] for side in (ours, theirs))
    pairs = [y - x for x, y in zip(scaled_a, scaled_b, strict=True)] if is_paired else None
    found = (
        paired(pairs)
        if pairs
        else welch(summary(scaled_b, b.row.deciding), summary(scaled_a, a.row.deciding))
    )
    if found is None:
        obstacle = "one pair" if is_paired else "one seed"
    estimate = summary(pairs).mean if pairs else summary(scaled_b).minus(summary(scaled_a))
    return Contrast(metric, _mean(ours), _mean(theirs), pairs, estimate, found, obstacle)


def _mean(values: Values) -> Summary | None:
    return summary(list(values.values())) if values else None


def _nothing(a: Side, b: Side, ours: Values, theirs: Values) -> str:
    sides = " and ".join(name for name, values in (("A", ours), ("B", theirs)) if not values)
    return f"nothing {'measured' if a.done and b.done else 'done'} in {sides}"


def _values(metric: ComparedMetric, side: Side) -> Values:
    found = {seed: metric.usable(entry) for seed, entry in side.done.items()}
    return {seed: value for seed, value in found.items() if value is not None}
