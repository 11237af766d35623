"""Seeds of one experiment on the page: metrics, curves and provenance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from harness.formatting import duration
from harness.report.aggregate import Entry, Row
from harness.report.html.provenance import ASPECTS, seconds_between, when
from harness.report.html.sparkline import Bounds, path
from harness.report.number_format import loss, percent
from harness.results.record import Attempt, Record

_MOST_ERROR = 4000  # characters; the record has all of them
VALUES = (
    "Testing accuracy",
    "Training accuracy",
    "Testing loss",
    "Training loss",
    "Images/s",
    "Peak memory (GiB)",
    "Took",
)


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
class Line:
    """One seed's line on the page."""

    seed: int
    state: str
    file: str | None
    error: str | None
    values: Sequence[Value]
    drawings: Sequence[Drawing]
    facts: Sequence[str]
    started: str
    ended: str
    attempts: Sequence[Attempt]


@dataclass(frozen=True)
class Seeds:
    """One line per seed, the names of the facts in which seeds differ, and the facts that all share."""

    lines: Sequence[Line]
    differing: Sequence[str]
    shared: Sequence[tuple[str, str]]
    has_curves: bool
    has_attempts: bool


def seeds_of(row: Row, digits: int) -> Seeds:
    """Return what the page shows of an experiment's seeds."""
    records = [each.record for each in row.entries if each.record]
    found = {name: {fact(record) for record in records} for name, fact in ASPECTS.items()}
    found = {name: values for name, values in found.items() if values != {""}}
    differing = [name for name, values in found.items() if len(values) > 1]
    shared = [(name, min(values)) for name, values in found.items() if len(values) == 1]
    bounds = {
        kind: Bounds.of(
            each.epochs[f"{half}_{kind}"] for each in row.entries if each.epochs for half in ("train", "test")
        )
        for kind in ("accuracy", "loss")
    }
    lines = [_line(each, digits, differing, bounds) for each in row.entries]
    return Seeds(
        lines,
        differing,
        shared,
        has_curves=any(line.drawings for line in lines),
        has_attempts=any(line.attempts or line.error for line in lines),
    )


def _line(entry: Entry, digits: int, differing: Sequence[str], bounds: dict[str, Bounds | None]) -> Line:
    record = entry.record
    return Line(
        seed=entry.seed,
        state=entry.word,
        file=_file(entry),
        error=_placed(entry),
        values=_values(entry, digits),
        drawings=[each for kind in bounds if (each := _drawing(entry, kind, digits, bounds[kind]))],
        facts=[(ASPECTS[name](record) if record else "") or "–" for name in differing],
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


def _values(entry: Entry, digits: int) -> list[Value]:
    record = entry.record
    is_done = entry.state == "done"
    values = []
    for kind, write, scale in (("accuracy", percent(digits), 100), ("loss", loss, 1)):
        for half in ("test", "train"):
            value = entry.last(f"{half}_{kind}") if is_done else None
            number = "" if value is None else f"{scale * value:.{digits + 3}f}"
            values.append(Value("–" if value is None else write(value), number))
    for figure, form in (
        (entry.samples_per_second, ",.0f"),
        (record and record.peak_memory_gib, ".2f"),
    ):
        values.append(Value("–") if figure is None else Value(f"{figure:{form}}", f"{figure:.2f}"))
    return [*values, _took(record)]


def _took(record: Record | None) -> Value:
    """Return the time from a trial's start to its end."""
    seconds = seconds_between(record.started_at, record.ended_at) if record else None
    return Value("–") if seconds is None else Value(duration(seconds), f"{seconds:.0f}")


def _drawing(entry: Entry, kind: str, digits: int, bounds: Bounds | None) -> Drawing | None:
    train, test = entry.epochs.get(f"train_{kind}"), entry.epochs.get(f"test_{kind}")
    if not train or not test or bounds is None:
        return None
    write = percent(digits) if kind == "accuracy" else loss
    words = "; ".join(
        f"{word} {_figure(curve[0], write)} to {_figure(curve[-1], write)}"
        for word, curve in (("testing", test), ("training", train))
    )
    title = f"Seed {entry.seed}, {kind}, {len(test)} epoch{'s' * (len(test) > 1)}: {words}"
    return Drawing(title, path(train, bounds), path(test, bounds))


def _figure(value: float, write: Callable[[float], str]) -> str:
    return write(value) if math.isfinite(value) else "not a number"


def _shortened(attempt: Attempt) -> Attempt:
    times = {"started_at": when(attempt.started_at), "ended_at": when(attempt.ended_at)}
    error = attempt.error
    if len(error) > _MOST_ERROR:
        error = f"… (all {len(error):,} characters are in the record)\n{error[-_MOST_ERROR:]}"
    return attempt.model_copy(update={**times, "error": error})
