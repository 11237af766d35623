"""Table of a suite, before it is Markdown, LaTeX or HTML: cells, notes and sentences on its sources."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from harness.report.aggregate import Row, SuiteResults
from harness.report.columns import DIGITS, Cell, RowContext, columns
from harness.report.footnotes import source
from harness.report.hyper_parameters import hyper_parameters

_NO_LABEL = re.compile(r"[^A-Za-z0-9._@=,+-]")


@dataclass
class Table:
    """A table: title, header, lines of cells, their notes, and sentences on its sources."""

    title: str
    folder: str
    header: list[str]
    lines: list[list[Cell]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    source: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        """Return the folder's name in characters that a label may have in Markdown and LaTeX."""
        return _NO_LABEL.sub("-", self.folder)

    def add_note(self, text: str) -> int:
        """Add a note below the table; return its number."""
        self.notes.append(text)
        return len(self.notes)


def layout(contents: SuiteResults) -> Table:
    """Return a suite's table: one row per experiment, or one row per run and their mean."""
    suite = contents.suite
    runs = suite.table.style == "runs"
    names = ["Run", "Hyper-parameters"] if runs else ["Experiment", "Common hyper-parameters"]
    names += [] if runs else ["Unique hyper-parameters"]
    header = [*names, *(each.title for each in columns(contents))]
    table = Table(suite.title, suite.folder, header)
    (_runs if runs else _experiments)(contents, table)
    table.source += source(contents, DIGITS[suite.table.style])
    return table


def _experiments(contents: SuiteResults, table: Table) -> None:
    shared, own = hyper_parameters(contents.suite)
    rows = contents.rows
    means = [value.mean for row in rows if (value := row.test_accuracy)]
    for row in rows:
        test = row.test_accuracy
        is_best = test is not None and len(rows) > 1 and test.mean == max(means)
        is_best = row is contents.chosen if contents.suite.choose else is_best
        first = [row.name, shared if row is rows[0] else "″", own[row.name] or "–"]
        table.lines.append([*map(Cell, first), *_means(contents, row, table, bold=is_best)])


def _runs(contents: SuiteResults, table: Table) -> None:
    shared, own = hyper_parameters(contents.suite)
    for row in contents.rows:
        prefix = f"{row.name}, " if len(contents.rows) > 1 else ""
        place = RowContext(contents, row, False, table.add_note)
        for number, each in enumerate(row.entries):
            settings = ", ".join(filter(None, (shared, own[row.name]))) if number == 0 else "″"
            first = [f"{prefix}Run {number + 1} (seed {each.seed})", settings]
            cells = [column.of_run(place, each, number) for column in columns(contents)]
            table.lines.append(list(map(Cell, [*first, *cells])))
        first_cells = [Cell(f"{prefix}Mean ± std (n)", bold=True), Cell("″")]
        is_any = row.test_accuracy is not None
        table.lines.append([*first_cells, *_means(contents, row, table, bold=is_any)])


def _means(contents: SuiteResults, row: Row, table: Table, *, bold: bool) -> list[Cell]:
    """Return the cells of an experiment's means and of the published figures."""
    place = RowContext(contents, row, bold, table.add_note)
    shown = columns(contents)
    found = [column.of_mean(place) for column in shown]
    cells = [each if isinstance(each, Cell) else Cell(each) for each in found]
    if not contents.hides_test(row):
        return cells
    return [
        replace(cell, text="not chosen") if column.is_of_test else cell
        for column, cell in zip(shown, cells, strict=True)
    ]
