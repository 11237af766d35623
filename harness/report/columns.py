"""Columns of a table: for each its heading, and its cell for an experiment and for one run of it.

To add a column, add an entry to COLUMNS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.report.aggregate import Entry, Row, SuiteResults, seeds_text
from harness.report.facts import in_sentence
from harness.report.number_format import interval_cell, loss, mean_cell, percent, signed
from harness.report.published import difference_cell, published_cell, published_figure, verdict_cell

DIGITS = {"experiments": 2, "runs": 3}
_TO_SHARE = ("User code", "Devices", "torch")  # the facts that runs of one cell should have in common


@dataclass(frozen=True)
class Cell:
    """A cell: its text, the text after it, and the number of a note below the table, counted from 1."""

    text: str
    bold: bool = False
    after: str = ""
    note: int | None = None


@dataclass(frozen=True)
class RowContext:
    """A row of a table: the experiment's results, whether it is bold, and how a note is added below it."""

    contents: SuiteResults
    row: Row
    bold: bool
    add_note: Callable[[str], int]

    @property
    def digits(self) -> int:
        """Return how many digits of a percentage are shown."""
        return DIGITS[self.contents.suite.table.style]

    def mean(self, name: str, write: Callable[[float], str]) -> str:
        """Return the mean of a metric over the experiment's trials, as text."""
        return mean_cell(self.row.summary(name), len(self.row.entries), write)

    def write(self, value: float) -> str:
        """Return a fraction as a percentage, with the table's digits."""
        return percent(self.digits)(value)


@dataclass(frozen=True)
class Column:
    """A column: `of_mean` returns its cell for an experiment, `of_run` the text for a run, by its number."""

    title: str
    of_mean: Callable[[RowContext], Cell | str]
    of_run: Callable[[RowContext, Entry, int], str] = lambda place, entry, number: "–"
    is_shown: Callable[[SuiteResults], bool] = lambda contents: True
    is_of_test: bool = False


def columns(contents: SuiteResults) -> list[Column]:
    """Return the columns that a suite's table has."""
    return [each for each in COLUMNS if each.is_shown(contents)]


def _is_published(contents: SuiteResults) -> bool:
    return contents.suite.published is not None


def _has_validation(contents: SuiteResults) -> bool:
    return "validation_accuracy" in contents.recorded


def _last(name: str, write: Callable[[RowContext, float], str]) -> Callable[[RowContext, Entry, int], str]:
    """Return how a run's metric is shown."""
    return lambda place, entry, number: write(place, entry.last(name)) if entry.state == "done" else "–"


def _test_of_mean(place: RowContext) -> Cell:
    """Return the mean testing accuracy, its missing trials, and a note on facts in which its runs differ."""
    absent, mixed = place.row.absent(), _mixed(place.row)
    note = place.add_note(f"{place.row.name}: its runs do not share {mixed}.") if mixed else None
    text = place.mean("test_accuracy", place.write)
    return Cell(text, place.bold, f"; {absent}" if absent else "", note)


def _test_of_run(place: RowContext, entry: Entry, number: int) -> str:
    if entry.state == "done":
        return place.write(entry.last("test_accuracy"))
    return Row(place.row.name, [entry]).absent()


def _difference_of_run(place: RowContext, entry: Entry, number: int) -> str:
    values = place.row.published.test_accuracy if place.row.published else None
    is_comparable = place.contents.is_published_dataset and entry.state == "done"
    theirs = published_figure(values, number) if is_comparable else None
    if theirs is None:
        return "–"
    return signed(float(entry.exact("test_accuracy") - theirs), place.digits)


def _mixed(row: Row) -> str:
    """Describe the facts in which a cell's records differ, with the seeds of each value."""
    found = []
    for fact in _TO_SHARE:
        sides = row.seeds_by(fact)
        if len(sides) > 1:
            each = "; ".join(f"{value}: {seeds_text(seeds)}" for value, seeds in sides.items())
            found.append(f"{in_sentence(fact)} ({each})")
    return ", ".join(found)


COLUMNS = (
    Column(
        "Final training loss",
        lambda place: place.mean("train_loss", loss),
        _last("train_loss", lambda _, value: loss(value)),
    ),
    Column(
        "Final training accuracy",
        lambda place: place.mean("train_accuracy", place.write),
        _last("train_accuracy", RowContext.write),
    ),
    Column(
        "Final validation accuracy",
        lambda place: place.mean("validation_accuracy", place.write),
        _last("validation_accuracy", RowContext.write),
        is_shown=_has_validation,
    ),
    Column("Final testing accuracy", _test_of_mean, _test_of_run, is_of_test=True),
    Column(
        "95 % interval of its mean",
        lambda place: interval_cell(place.row.test_accuracy, place.digits),
        is_of_test=True,
    ),
    Column(
        "Published (loss / training / testing)",
        lambda place: published_cell(place.row.published, place.digits),
        lambda place, entry, number: published_cell(place.row.published, place.digits, number),
        is_shown=_is_published,
    ),
    Column(
        "Difference (points)",
        lambda place: difference_cell(place.contents, place.row, place.digits),
        _difference_of_run,
        is_shown=_is_published,
        is_of_test=True,
    ),
    Column(
        "Verdict",
        lambda place: verdict_cell(place.contents, place.row),
        is_shown=_is_published,
        is_of_test=True,
    ),
)
