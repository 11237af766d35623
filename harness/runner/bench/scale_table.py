"""Scaling over ranks, as JSON and as a Markdown table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from harness.markdown import escaped, table
from harness.runner.bench.scale_grid import Point
from harness.runner.bench.table import Bench, Measurement, not_measured, of_rounds


class Scale(Bench):
    """Measurements of a suite's points on one machine."""

    points: list[Point]


@dataclass(frozen=True)
class Row:
    """A measured point; efficiency and the collectives' share of a step, round by round, as fractions.

    Either is empty where what it is compared with was not measured.
    """

    point: Point
    measurement: Measurement
    efficiency: list[float]
    collectives: list[float]


_HEADER = (
    "Experiment",
    "Precision, engine",
    "Scaling",
    "Ranks",
    "Batch",
    "Images/s (min to max)",
    "Efficiency",
    "ms a step",
    "Collectives",
)


def rows(scale: Scale) -> list[Row]:
    """List the points that were measured."""
    known = {each.cell: each for each in scale.measurements}
    single = {each.together.experiment: known.get(each.together) for each in scale.points if not each.kind}
    return [
        Row(
            point,
            found,
            _efficiency(found, single.get(point.together.experiment)),
            _collectives(found, known.get(point.apart)) if point.kind else [],
        )
        for point in scale.points
        if (found := known.get(point.together))
    ]


def _efficiency(found: Measurement, single: Measurement | None) -> list[float]:
    if single is None:
        return []
    return [
        speed / found.cell.ranks / alone
        for speed, alone in zip(found.images_per_second, single.images_per_second, strict=True)
    ]


def _collectives(found: Measurement, apart: Measurement | None) -> list[float]:
    if apart is None:
        return []
    return [
        1 - theirs / together for together, theirs in zip(found.step_seconds, apart.step_seconds, strict=True)
    ]


def markdown(scale: Scale, made: str) -> str:
    """Return table and figure as Markdown; `made` is a sentence on the hardware, versions and time."""
    title = f"Scaling of {scale.suite} on {scale.machine.device}"
    figure = f"![Images/s over ranks, beside the ideal]({quote(f'{scale.suite}-scale.svg')})"
    threads = "" if scale.machine.is_gpu else " Each rank has one thread."
    note = (
        f"{made} {of_rounds(scale)}{threads} Strong: the ranks share the suite's batch. Weak: each rank has "
        "as many images as that batch. Efficiency: images/s a rank against one rank. Collectives: the share "
        "of a step that is saved if each rank trains a batch of the size of its share by itself, all at the "
        "same time. It holds the exchanges, the wait for the slowest rank, and batch norms over ranks; below "
        "zero it is noise. Training steps only, without evaluation."
    )
    cells = [list(map(escaped, _cells(each))) for each in rows(scale)]
    notes = map(escaped, [note, *not_measured(scale)])
    return "\n\n".join([f"# {escaped(title)}", figure, table(_HEADER, cells), *notes]) + "\n"


def _cells(row: Row) -> tuple[str, ...]:
    each, speeds = row.measurement, row.measurement.images_per_second
    return (
        each.cell.experiment,
        f"{each.cell.precision}, {each.engine}",
        row.point.kind or "–",
        str(each.cell.ranks),
        f"{each.batch_size:,}",
        f"{each.median:,.0f} ({min(speeds):,.0f} to {max(speeds):,.0f})",
        _percent(row.efficiency) if row.point.kind else "100 %",
        f"{each.step_milliseconds:.2f}",
        _percent(row.collectives),
    )


def _percent(fractions: Sequence[float]) -> str:
    if not fractions:
        return "–"
    middle, low, high = (round(100 * choose(fractions)) for choose in (statistics.median, min, max))
    return f"{middle} % ({low} to {high})"
