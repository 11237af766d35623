"""Seeds of one experiment on the page: metrics, curves and provenance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from harness.formatting import duration
from harness.report.aggregate import Entry, Row
from harness.report.facts import FACTS
from harness.report.html.sparkline import Bounds, path
from harness.report.html.times import seconds_between, when
from harness.report.number_format import loss, percent
from harness.results.metrics import COMPARED, PARTS, Metric
from harness.results.record import Attempt, Record

_MOST_ERROR = 4000  # characters; the record has all of them
_DRAWN = ("train", "test")
MEASURED = ("Images/s", "Peak memory (GiB)", "Took")


@dataclass(frozen=True)
class Value:
    """A metric's text, and the number by which it sorts."""

    text: str
    number: str = ""


@dataclass(frozen=True)
class Drawing:
    """Curves of one trial, each as an SVG path, and their description."""

    title: str
    train: str
    test: str


@dataclass(frozen=True)
class SeedLine:
    """One seed's line on the page."""

    seed: int
    state: str
    file: str | None
    error: str | None
    metrics: Sequence[Value]
    drawings: Sequence[Drawing | None]
    measured: Sequence[Value]
    facts: Sequence[str]
    started: str
    ended: str
    attempts: Sequence[Attempt]


@dataclass(frozen=True)
class SeedsView:
    """One line per seed, the names of the facts in which seeds differ, and the facts that all share."""

    lines: Sequence[SeedLine]
    differing: Sequence[str]
    shared: Sequence[tuple[str, str]]
    has_curves: bool
    has_attempts: bool


def metric_titles(names: Sequence[str]) -> list[str]:
    """Return the titles of these metrics."""
    return [f"{PARTS[part]} {metric.title}" for part, metric in _shown(names)]


def _shown(names: Sequence[str]) -> list[tuple[str, Metric]]:
    return [(part, metric) for part, metric in COMPARED.values() if f"{part}_{metric.name}" in names]


def curves() -> list[Metric]:
    """Return the metrics, each of which has a drawing."""
    return list(dict.fromkeys(metric for _, metric in COMPARED.values()))


def seeds_of(row: Row, digits: int, metrics: Sequence[str]) -> SeedsView:
    """Return what the page shows of an experiment's seeds."""
    records = [each.record for each in row.entries if each.record]
    found = {name: {fact(record) for record in records} for name, fact in FACTS.items()}
    found = {name: values for name, values in found.items() if values != {""}}
    differing = [name for name, values in found.items() if len(values) > 1]
    shared = [(name, min(values)) for name, values in found.items() if len(values) == 1]
    bounds = {
        metric: Bounds.of(
            each.epochs[f"{part}_{metric.name}"] for each in row.entries if each.epochs for part in _DRAWN
        )
        for metric in curves()
    }
    lines = [_line(each, digits, differing, bounds, metrics) for each in row.entries]
    return SeedsView(
        lines,
        differing,
        shared,
        has_curves=any(any(line.drawings) for line in lines),
        has_attempts=any(line.attempts or line.error for line in lines),
    )


def _line(
    entry: Entry,
    digits: int,
    differing: Sequence[str],
    bounds: dict[Metric, Bounds | None],
    metrics: Sequence[str],
) -> SeedLine:
    record = entry.record
    return SeedLine(
        seed=entry.seed,
        state=entry.word,
        file=_file(entry),
        error=_placed(entry),
        metrics=_metrics(entry, digits, metrics),
        drawings=[_drawing(entry, metric, digits, each) for metric, each in bounds.items()],
        measured=_measured(entry),
        facts=[(FACTS[name](record) if record else "") or "–" for name in differing],
        started=when(record.started_at) if record else "–",
        ended=when(record.ended_at) if record else "–",
        attempts=[_shortened(each) for each in record.attempts] if record else [],
    )


def _file(entry: Entry) -> str | None:
    """Return the record's path within the results; one that is not done is named by its attempts."""
    if entry.record is None or entry.state == "done":
        return None if entry.state == "left" and not entry.other_data else entry.file
    suffix = f".attempt-{len(entry.record.attempts)}.json"
    return PurePosixPath(entry.file).with_suffix(suffix).as_posix()


def _placed(entry: Entry) -> str | None:
    """Return why a record is unreadable, without the path of the results on this machine."""
    if entry.error is None:
        return None
    folder = f"{PurePosixPath(entry.file).parent.as_posix()}/"
    _, found, rest = entry.error.partition(folder)
    return folder + rest if found else entry.error


def _metrics(entry: Entry, digits: int, metrics: Sequence[str]) -> list[Value]:
    values = []
    for part, metric in _shown(metrics):
        value = entry.last(f"{part}_{metric.name}") if entry.state == "done" else math.nan
        scale = 100 if metric.is_fraction else 1
        is_known = math.isfinite(value)  # records that are older than a metric lack it
        text, number = _writer(metric, digits)(value), f"{scale * value:.{digits + 3}f}"
        values.append(Value(text, number) if is_known else Value("–"))
    return values


def _writer(metric: Metric, digits: int) -> Callable[[float], str]:
    return percent(digits) if metric.is_fraction else loss


def _measured(entry: Entry) -> list[Value]:
    record = entry.record
    figures = (entry.samples_per_second, ",.0f"), (record and record.peak_memory_gib, ".2f")
    values = [
        Value("–") if figure is None else Value(f"{figure:{form}}", f"{figure:.2f}")
        for figure, form in figures
    ]
    return [*values, _took(record)]


def _took(record: Record | None) -> Value:
    """Return the time from a trial's start to its end."""
    seconds = seconds_between(record.started_at, record.ended_at) if record else None
    return Value("–") if seconds is None else Value(duration(seconds), f"{seconds:.0f}")


def _drawing(entry: Entry, metric: Metric, digits: int, bounds: Bounds | None) -> Drawing | None:
    train, test = (entry.epochs.get(f"{part}_{metric.name}") for part in _DRAWN)
    if not train or not test or bounds is None:
        return None
    write = _writer(metric, digits)
    words = "; ".join(
        f"{word} {_figure(curve[0], write)} to {_figure(curve[-1], write)}"
        for word, curve in (("testing", test), ("training", train))
    )
    title = f"Seed {entry.seed}, {metric.title}, {len(test)} epoch{'s' * (len(test) > 1)}: {words}"
    return Drawing(title, path(train, bounds), path(test, bounds))


def _figure(value: float, write: Callable[[float], str]) -> str:
    return write(value) if math.isfinite(value) else "not a number"


def _shortened(attempt: Attempt) -> Attempt:
    times = {"started_at": when(attempt.started_at), "ended_at": when(attempt.ended_at)}
    error = attempt.error
    if len(error) > _MOST_ERROR:
        error = f"… (all {len(error):,} characters are in the record)\n{error[-_MOST_ERROR:]}"
    return attempt.model_copy(update={**times, "error": error})
