"""Pairing of experiments of both sides, with a contrast for each metric."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.errors import UsageError
from harness.report.compare.contrast import Contrast, contrast
from harness.report.compare.metrics import METRICS
from harness.report.compare.side import Side
from harness.report.compare.targets import Target
from harness.results.record import Record

# A speed belongs to an execution on a device: speeds are compared only if all of these are the same.
EXECUTION: dict[str, Callable[[Record], str]] = {
    "devices": lambda of: _devices(of.hardware.devices),
    "world size": lambda of: str(of.hardware.world_size),
    "placement": lambda of: of.hardware.placement,
    "engine": lambda of: of.hardware.engine,
    "threads": lambda of: str(of.hardware.threads),
    "trials per device": lambda of: str(of.hardware.trials_per_device),
}


@dataclass(frozen=True)
class Row:
    """An experiment on both sides."""

    name: str
    a: Side
    b: Side
    contrasts: Sequence[Contrast]


@dataclass(frozen=True)
class Table:
    """Compared experiments, and the names of those that only one side has."""

    a: Target
    b: Target
    rows: Sequence[Row]
    only_a: Sequence[str]
    only_b: Sequence[str]

    @property
    def errors(self) -> list[str]:
        """Return the error messages of unreadable records."""
        return [error for row in self.rows for side in (row.a, row.b) for error in side.row.errors]


def table(a: Target, b: Target) -> Table:
    """Compare experiments of the same name, or two named ones; raise UsageError for unlike targets."""
    if a.kind != b.kind:
        raise UsageError(
            f"{a.label} is {a.kind}, {b.label} is {b.kind}: expected two experiments, two suites' results or "
            "two folders of several"
        )
    if (a.store, a.folder, a.experiment) == (b.store, b.folder, b.experiment):
        raise UsageError(f"{a.label} and {b.label} are the same results: expected two")
    ours, theirs = dict(a.sides()), dict(b.sides())
    if a.experiment:
        name = a.experiment if a.experiment == b.experiment else f"{a.experiment} → {b.experiment}"
        return Table(a, b, [_row(name, ours[a.experiment], theirs[b.experiment])], [], [])
    return Table(
        a,
        b,
        [_row(name, side, theirs[name]) for name, side in ours.items() if name in theirs],
        [name for name in ours if name not in theirs],
        [name for name in theirs if name not in ours],
    )


def _devices(names: list[str]) -> str:
    """Return device names: one kind once, as the world size is its number, several kinds repeated."""
    return ", ".join(sorted(names if len(set(names)) > 1 else set(names)))


def _row(name: str, a: Side, b: Side) -> Row:
    unlike = [
        word for word, aspect in EXECUTION.items() if len({*a.row.shared(aspect), *b.row.shared(aspect)}) > 1
    ]
    obstacle = f"not the same {', '.join(unlike)}" if unlike else ""
    other_data = "not the same dataset" if a.suite.dataset.name != b.suite.dataset.name else ""
    return Row(
        name,
        a,
        b,
        [contrast(metric, a, b, obstacle if metric.kind == "speed" else other_data) for metric in METRICS],
    )
