"""CSV export for programs: a table's numbers, and the metrics of every epoch of every trial."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from types import SimpleNamespace

from harness.report.aggregate import FIGURES, Row, SuiteResults
from harness.report.published import verdict_of
from harness.results.metrics import OF_EPOCH
from harness.stats import Difference, Summary

_SUMMARY = ("mean", "std", "low_95", "high_95", "min", "max")
_WORDS = {"within": "reproduced", "above": "differs_above", "below": "differs_below", "open": "inconclusive"}
_DIGITS = 12  # any further ones depend on the machine


def table(contents: SuiteResults) -> str:
    """Return CSV with a line per experiment: statistics of its last epochs; accuracies are fractions."""
    metrics = contents.recorded
    header = ["experiment", "trials", "done", "absent", *(f"{a}_{b}" for a in metrics for b in _SUMMARY)]
    header += ["published_test_accuracy", "difference", "difference_low_95", "difference_high_95"]
    return _csv(
        [*header, "verdict", "seeds_to_settle"], (_row(contents, row, metrics) for row in contents.rows)
    )


def epochs(contents: SuiteResults) -> str:
    """Return CSV with a line per epoch of each trial, done or diverged, with all digits of its record."""
    absent = OF_EPOCH.keys() - contents.recorded
    names = [name for name in FIGURES if name not in absent]
    lines = (
        [row.name, each.seed, each.state, number, *map(_exact, figures)]
        for row in contents.rows
        for each in row.entries
        for number, figures in enumerate(zip(*(each.epochs.get(name, ()) for name in names), strict=True), 1)
    )
    return _csv(["experiment", "seed", "status", "epoch", *names], lines)


def _row(contents: SuiteResults, row: Row, metrics: Sequence[str]) -> list[str]:
    cells = [row.name, str(len(row.entries)), str(len(row.done)), row.absent()]
    for name in metrics:
        cells += _summary(row.summary(name), is_fraction=OF_EPOCH[name].is_fraction)
    published = row.published.test_accuracy if row.published else None
    cells.append(" ".join(map(_number, published or [])))
    judged = verdict_of(contents, row)
    if judged is None:
        return [*cells, *[""] * 5]
    seeds = "" if judged.seeds is None else str(judged.seeds)
    return [*cells, *_difference(judged.difference), _WORDS[judged.finding], seeds]


def _summary(value: Summary | None, *, is_fraction: bool) -> list[str]:
    if value is None:
        return [""] * len(_SUMMARY)
    interval = value.interval_of_fraction() if is_fraction else value.interval()
    low, high = interval or (None, None)
    return list(map(_number, (value.mean, value.std, low, high, value.minimum, value.maximum)))


def _difference(value: Difference) -> list[str]:
    return list(map(_number, (value.estimate, *value.interval_of_fractions())))


def _number(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.{_DIGITS}g}"


def _exact(value: float) -> str:
    return "" if math.isnan(value) else repr(value)


def _csv(header: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    written: list[str] = []  # a StringIO takes four bytes per character, of half a million lines
    writer = csv.writer(SimpleNamespace(write=written.append), lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    return "".join(written)
