"""Pairing of experiments of both sides, with a contrast for each metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import UsageError
from harness.report.compare.contrast import Contrast, contrast
from harness.report.compare.metrics import COMPARED_METRICS
from harness.report.compare.side import Side
from harness.report.compare.targets import Target
from harness.report.facts import in_sentence

# Speeds are compared only where all of these facts are the same.
EXECUTION = ("Devices", "World size", "Placement", "Engine", "Threads", "Trials per device")


@dataclass(frozen=True)
class ComparedRow:
    """An experiment on both sides, with a contrast for each metric."""

    name: str
    a: Side
    b: Side
    contrasts: Sequence[Contrast]


@dataclass(frozen=True)
class ComparedTable:
    """Compared experiments, and the names of those that only one side has."""

    a: Target
    b: Target
    rows: Sequence[ComparedRow]
    only_a: Sequence[str]
    only_b: Sequence[str]

    @property
    def errors(self) -> list[str]:
        """Return the error messages of unreadable records."""
        return [error for row in self.rows for side in (row.a, row.b) for error in side.row.errors]


def table(a: Target, b: Target) -> ComparedTable:
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
        return ComparedTable(a, b, [_row(name, ours[a.experiment], theirs[b.experiment])], [], [])
    return ComparedTable(
        a,
        b,
        [_row(name, side, theirs[name]) for name, side in ours.items() if name in theirs],
        [name for name in ours if name not in theirs],
        [name for name in theirs if name not in ours],
    )


def _row(name: str, a: Side, b: Side) -> ComparedRow:
    unlike = [
        in_sentence(fact) for fact in EXECUTION if len({*a.row.seeds_by(fact), *b.row.seeds_by(fact)}) > 1
    ]
    obstacle = f"not the same {', '.join(unlike)}" if unlike else ""
    other_data = "not the same dataset" if a.suite.dataset.title != b.suite.dataset.title else ""
    return ComparedRow(
        name,
        a,
        b,
        [
            contrast(metric, a, b, obstacle if metric.kind == "speed" else other_data)
            for metric in COMPARED_METRICS
            if not metric.key.startswith("validation_")
            or any(metric.usable(each) is not None for side in (a, b) for each in side.done.values())
        ],
    )
