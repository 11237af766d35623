"""Regression gate for CI (`--fail-if worse:METRIC:AMOUNT`), checked against a comparison."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from harness.errors import UsageError, nearest
from harness.report.compare.contrast import Contrast
from harness.report.compare.metrics import COMPARED_METRICS, ComparedMetric
from harness.report.compare.pairing import ComparedRow, ComparedTable

_FORM = "expected worse:METRIC:AMOUNT, such as worse:test_accuracy_points:0.2"


@dataclass(frozen=True)
class RegressionGate:
    """Condition that B is not shown to be worse than A by more than an amount, in the metric's unit."""

    text: str
    metric: ComparedMetric
    amount: float

    @classmethod
    def parse(cls, text: str) -> RegressionGate:
        """Parse a gate; raise UsageError if the text is malformed, or if the gate could never fail."""
        parts = text.split(":")
        if len(parts) != 3 or parts[0] != "worse":
            raise UsageError(f"--fail-if: found {text!r}, {_FORM}")
        known = {metric.key: metric for metric in COMPARED_METRICS}
        if parts[1] not in known:
            raise UsageError(f"--fail-if {text}: found {parts[1]!r}, {nearest(parts[1], known)}")
        metric, below = known[parts[1]], math.inf if known[parts[1]].kind == "loss" else 100.0
        try:
            amount = float(parts[2])
        except ValueError:
            amount = math.nan
        if not 0 <= amount < below:
            span = "0 or more" if math.isinf(below) else "from 0 to below 100"
            raise UsageError(f"--fail-if {text}: found {parts[2]!r}, expected a number, {span}")
        return cls(text, metric, amount)

    def of(self, row: ComparedRow) -> Contrast:
        """Return a row's contrast in the gate's metric."""
        return next(each for each in row.contrasts if each.metric is self.metric)

    def obstacle(self, each: Contrast) -> str:
        """Return why a row cannot be judged; empty if it can."""
        if each.obstacle or each.difference is None:
            return each.obstacle
        is_worse = self.metric.worse_by(each.difference.estimate) > self.amount
        return "no spread" if is_worse and not each.has_spread else ""

    def is_broken(self, each: Contrast) -> bool:
        """Return whether B is worse by more than the amount, by a one-sided t-test at 5 %."""
        return each.difference is not None and self._bound(each) > self.amount

    def failure(self, row: ComparedRow, each: Contrast) -> str:
        """Return the message for a row that fails, with its metrics."""
        assert each.a
        assert each.b
        assert each.difference
        write, n = self.metric.figure, each.a.n
        count = f"{n} and {each.b.n} seeds" if each.pairs is None else f"{n} pairs"
        return (
            f"{self.text}: {row.name} is worse: {write(each.a.mean)} in A, {write(each.b.mean)} in B "
            f"({count}): {self.metric.amount(each.difference.estimate)}{self.metric.unit}, with 95 % "
            f"confidence worse by {self._bound(each):.4g}{self._unit} or more"
        )

    @property
    def _unit(self) -> str:
        return {"accuracy": " points", "loss": "", "speed": " %"}[self.metric.kind]

    def _bound(self, each: Contrast) -> float:
        """Return the lower bound of how much B is worse, at a one-sided confidence of 95 %."""
        assert each.difference is not None
        return min(map(self.metric.worse_by, each.difference.interval(0.90)))


def gates(texts: Iterable[str]) -> list[RegressionGate]:
    """Parse the texts given by --fail-if; raise UsageError for the first mistake."""
    return [RegressionGate.parse(text) for text in texts]


def broken(gates: Iterable[RegressionGate], table: ComparedTable) -> Iterator[str]:
    """Yield a message for every row that fails."""
    for gate in gates:
        for row in table.rows:
            each = gate.of(row)
            if not gate.obstacle(each) and gate.is_broken(each):
                yield gate.failure(row, each)


def unjudged(gates: Iterable[RegressionGate], table: ComparedTable) -> Iterator[str]:
    """Yield a message for every row that cannot be judged."""
    for gate in gates:
        for row in table.rows:
            if why := gate.obstacle(gate.of(row)):
                yield f"{gate.text}: {row.name} cannot be judged: {why}"
        if not table.rows:
            yield f"{gate.text}: nothing can be judged: no experiment is in both"


def passed_over(gates: Iterable[RegressionGate], table: ComparedTable) -> Iterator[str]:
    """Yield a message for each side that has experiments of its own, which no gate checks."""
    if not table.rows or not list(gates):
        return
    for name, only in (("A", table.only_a), ("B", table.only_b)):
        if only:
            yield f"--fail-if ignores what is in {name} only: {', '.join(only)}"
