"""Scaling grid: one trial of each experiment trained by several ranks together, and by each of them apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from harness.config.suite import Suite
from harness.runner.bench.grid import BenchCell
from harness.runner.placement import Execution
from harness.strict import Strict

Kind = Literal["strong", "weak"]

_LEAST_SHARE = 2  # a batch norm needs two samples


class Point(Strict):
    """One trial on so many ranks together, and trials of their own on the same ranks at the same time.

    Strong scaling: the ranks share the suite's batch; weak: each has as many samples as that; None on one
    rank. A trial apart has batches of the size of a rank's largest share.
    """

    kind: Kind | None
    together: BenchCell
    apart: BenchCell


def points(suite: Suite, experiment: str, worlds: Sequence[int], samples: int) -> Iterator[Point]:
    """Yield an experiment's points for training sets of so many samples, too large and too small ones too."""
    training = suite.experiments[experiment].training
    batch_size = min(training.batch_size, samples)

    def cell(ranks: int, batch_size: int, execution: Execution) -> BenchCell:
        return BenchCell(
            experiment=experiment,
            precision=training.precision,
            execution=execution,
            ranks=ranks,
            threads=1,
            batch_size=batch_size,
        )

    def point(kind: Kind | None, ranks: int, batch_size: int) -> Point:
        apart = cell(ranks, -(-batch_size // ranks), Execution(placement="spread"))
        together = cell(ranks, batch_size, Execution(placement="ddp")) if kind else apart
        return Point(kind=kind, together=together, apart=apart)

    yield point(None, 1, batch_size)
    for ranks in worlds:
        if ranks > 1:
            yield point("strong", ranks, batch_size)
            yield point("weak", ranks, batch_size * ranks)


def obstacle(suite: Suite, point: Point, samples: int) -> str | None:
    """Return why a point cannot be measured; None if it can."""
    cell, training = point.together, suite.experiments[point.together.experiment].training
    assert cell.batch_size
    if cell.batch_size > samples:
        return f"there are only {samples:,} training samples"
    if point.kind == "strong" and cell.batch_size < _LEAST_SHARE * cell.ranks * training.accumulate:
        return "a rank's share would be a single sample"
    return None


def powers_of_two(most: int) -> list[int]:
    """List the powers of two up to `most`."""
    return [2**power for power in range(most.bit_length())]
