"""View of a suite on the page: its table in sortable groups, its figure, and the details of each row."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from harness.report.aggregate import Row, SuiteResults
from harness.report.columns import DIGITS, Cell
from harness.report.counted_epochs import counted_epochs
from harness.report.figures import figures
from harness.report.html import rerun_command
from harness.report.html.embedded import Embedded, EmbeddedFigure
from harness.report.html.seeds import SeedsView, seeds_of
from harness.report.table import Table

_RESULT = "Final testing accuracy"
_Figure = Callable[[str], EmbeddedFigure | None]


@dataclass(frozen=True)
class ExperimentView:
    """An experiment of a suite with the details behind its cells.

    `anchor` is its id in the page, and `counted` names the epoch that counts.
    """

    name: str
    anchor: str
    result: Cell
    counts: Mapping[str, int]
    counted: str
    settings: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    figure: EmbeddedFigure | None
    seeds: SeedsView
    again: str
    rest: str | None


@dataclass(frozen=True)
class LineView:
    """A line of a suite's table and the anchor it links to; `is_mean` if it sums up those before."""

    cells: Sequence[Cell]
    anchor: str
    is_mean: bool


@dataclass(frozen=True)
class SuiteView:
    """A suite's table, split into the groups within which its lines sort, and its experiments.

    `common` are the columns with the same text in all lines, and that text; `columns` are the others.
    """

    anchor: str
    table: Table
    file: str
    counts: Mapping[str, int]
    common: Sequence[tuple[str, str]]
    columns: Sequence[int]
    groups: Sequence[Sequence[LineView]]
    figure: EmbeddedFigure | None
    experiments: Sequence[ExperimentView]

    @classmethod
    def of(
        cls, contents: SuiteResults, table: Table, embedded: Embedded, metrics: Sequence[str]
    ) -> SuiteView:
        """Return the view of a suite."""
        known = {each.path: each.alt for each in figures(contents)}

        def figure(path: str) -> EmbeddedFigure | None:
            return embedded.figure(f"{table.folder}/{path}.svg", known[path]) if path in known else None

        lines = _spelled_out(table)
        common = [column for column in range(1, len(table.header)) if _is_common(table, lines, column)]
        own = list(_of_rows(contents, lines))
        is_runs = contents.suite.table.style == "runs"
        result = table.header.index(_RESULT)
        rows = zip(contents.rows, own, strict=True)
        return cls(
            anchor=_anchor(table.folder),
            table=table,
            file=f"{contents.suite.suite}.yaml",
            counts=counts(contents.rows),
            common=[(table.header[column], lines[0][column].text) for column in common],
            columns=[column for column in range(len(table.header)) if column not in common],
            groups=own if is_runs else [[line for group in own for line in group]],
            figure=figure("comparison"),
            experiments=[
                _experiment(contents, row, group[-1].cells[result], figure, metrics) for row, group in rows
            ],
        )


def _experiment(
    contents: SuiteResults, row: Row, result: Cell, figure: _Figure, metrics: Sequence[str]
) -> ExperimentView:
    return ExperimentView(
        name=row.name,
        anchor=_anchor(contents.suite.folder, row.name),
        result=result,
        counts=counts([row]),
        counted=counted_epochs([contents.suite.experiments[row.name].training]),
        settings=list(_settings(row.entries[0].trial.settings.model_dump())) if row.entries else [],
        figure=figure(f"{row.name}/curves"),
        seeds=seeds_of(row, DIGITS[contents.suite.table.style], metrics),
        again=rerun_command.again(contents, row),
        rest=rerun_command.rest(contents, row),
    )


def counts(rows: Iterable[Row]) -> dict[str, int]:
    """Return the number of all trials, of those that are done, and of each other state."""
    states = Counter(each.word for row in rows for each in row.entries)
    done = states.pop("done", 0)
    return {"all": done + states.total(), "done": done, **dict(sorted(states.items()))}


def _of_rows(contents: SuiteResults, lines: Sequence[Sequence[Cell]]) -> Iterator[list[LineView]]:
    """Yield each experiment's lines of the table."""
    is_runs = contents.suite.table.style == "runs"
    at = 0
    for row in contents.rows:
        anchor = _anchor(contents.suite.folder, row.name)
        size = len(row.entries) + 1 if is_runs else 1
        own = lines[at : at + size]
        yield [LineView(cells, anchor, is_runs and cells is own[-1]) for cells in own]
        at += size


def _spelled_out(table: Table) -> list[list[Cell]]:
    """Return the table's lines without ditto marks: once lines are sorted, there is no line above."""
    lines: list[list[Cell]] = []
    for cells in table.lines:
        above = lines[-1] if lines else cells
        lines.append([old if cell.text == "″" else cell for cell, old in zip(cells, above, strict=True)])
    return lines


def _is_common(table: Table, lines: Sequence[Sequence[Cell]], column: int) -> bool:
    return "yper-parameters" in table.header[column] and len({cells[column].text for cells in lines}) == 1


def _settings(settings: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the sections of settings, each with dotted keys and values."""
    for section, values in settings.items():
        yield section, list(_leaves(values))


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            text = "none" if value is None else value if isinstance(value, str) else json.dumps(value)
            yield f"{prefix}{key}", text


def _anchor(*names: str) -> str:
    return quote("/".join(names), safe="/@=,+")
