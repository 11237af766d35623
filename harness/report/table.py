"""Table of a suite, before it is Markdown, LaTeX or HTML: cells, notes and sentences on its sources."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.report.aggregate import Entry, Row, SuiteResults, seeds_text
from harness.report.footnotes import source
from harness.report.hyper_parameters import hyper_parameters
from harness.report.number_format import interval_cell, loss, mean_cell, percent, signed
from harness.report.published import difference_cell, published_cell, published_figure, verdict_cell
from harness.results.record import Record

_NO_LABEL = re.compile(r"[^A-Za-z0-9._@=,+-]")
DIGITS = {"experiments": 2, "runs": 3}
_METRICS = ["Final training loss", "Final training accuracy", "Final testing accuracy"]
_INTERVAL = "95 % interval of its mean"
_PUBLISHED = ["Published (loss / training / testing)", "Difference (points)", "Verdict"]
_ASPECTS: dict[str, Callable[[Record], str]] = {
    "user code": lambda record: (record.user_code or "none")[:8],
    "devices": lambda record: ", ".join(sorted(set(record.hardware.devices))),
    "torch": lambda record: record.versions.torch,
}


@dataclass(frozen=True)
class Cell:
    """A cell: its text, the text after it, and the number of a note below the table, counted from 1."""

    text: str
    bold: bool = False
    after: str = ""
    note: int | None = None


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


def layout(contents: SuiteResults) -> Table:
    """Return a suite's table: one row per experiment, or one row per run and their mean."""
    suite = contents.suite
    runs = suite.table.style == "runs"
    names = ["Run", "Hyper-parameters"] if runs else ["Experiment", "Common hyper-parameters"]
    names += [] if runs else ["Unique hyper-parameters"]
    header = [*names, *_METRICS, _INTERVAL, *(_PUBLISHED if suite.published else [])]
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
        first = [row.name, shared if row is rows[0] else "″", own[row.name] or "–"]
        table.lines.append([*map(Cell, first), *_figures(contents, row, table, bold=is_best)])


def _runs(contents: SuiteResults, table: Table) -> None:
    shared, own = hyper_parameters(contents.suite)
    for row in contents.rows:
        prefix = f"{row.name}, " if len(contents.rows) > 1 else ""
        for number, each in enumerate(row.entries):
            settings = ", ".join(filter(None, (shared, own[row.name]))) if number == 0 else "″"
            first = [f"{prefix}Run {number + 1} (seed {each.seed})", settings]
            table.lines.append(list(map(Cell, [*first, *_run(contents, row, each, number)])))
        first_cells = [Cell(f"{prefix}Mean ± std (n)", bold=True), Cell("″")]
        is_any = row.test_accuracy is not None
        table.lines.append([*first_cells, *_figures(contents, row, table, bold=is_any)])


def _figures(contents: SuiteResults, row: Row, table: Table, *, bold: bool) -> list[Cell]:
    """Return the cells of a row's means and of the published figures."""
    digits = DIGITS[contents.suite.table.style]
    count = len(row.entries)
    test = row.test_accuracy
    text = mean_cell(test, count, percent(digits))
    cells = [
        Cell(mean_cell(row.summary("train_loss"), count, loss)),
        Cell(mean_cell(row.summary("train_accuracy"), count, percent(digits))),
        _test_cell(row, text, table, bold=bold),
        Cell(interval_cell(test, digits)),
    ]
    if contents.suite.published:
        cells.append(Cell(published_cell(row.published, digits)))
        cells.append(Cell(difference_cell(contents, row, digits)))
        cells.append(Cell(verdict_cell(contents, row)))
    return cells


def _run(contents: SuiteResults, row: Row, entry: Entry, number: int) -> list[str]:
    """Return the cells of one run's metrics, and of the published run of the same number."""
    digits = DIGITS[contents.suite.table.style]
    write = percent(digits)
    is_done = entry.state == "done"
    cells = [
        loss(entry.last("train_loss")) if is_done else "–",
        write(entry.last("train_accuracy")) if is_done else "–",
        write(entry.last("test_accuracy")) if is_done else Row(row.name, [entry]).absent(),
        "–",
    ]
    if contents.suite.published:
        values = row.published.test_accuracy if row.published else None
        theirs = published_figure(values, number) if contents.is_published_dataset and is_done else None
        difference = "–" if theirs is None else signed(float(entry.exact("test_accuracy") - theirs), digits)
        cells += [published_cell(row.published, digits, number), difference, "–"]
    return cells


def _test_cell(row: Row, figure: str, table: Table, *, bold: bool) -> Cell:
    absent = row.absent()
    mixed = _mixed(row)
    if mixed:
        table.notes.append(f"{row.name}: its runs do not share {mixed}.")
    return Cell(figure, bold, f"; {absent}" if absent else "", len(table.notes) if mixed else None)


def _mixed(row: Row) -> str:
    """Return in what the records of one cell differ, with the seeds of each value, as text."""
    found = []
    for name, aspect in _ASPECTS.items():
        sides = row.shared(aspect)
        if len(sides) > 1:
            each = "; ".join(f"{value}: {seeds_text(seeds)}" for value, seeds in sides.items())
            found.append(f"{name} ({each})")
    return ", ".join(found)
