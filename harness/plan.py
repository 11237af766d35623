"""What is left to do and how long it should take."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.record import Record
from harness.store import State, Store
from harness.suite import Suite, Trial

# What a trial's time an epoch does not depend on.
_TIMELESS = ("epochs", "scheduler")

_TO_TRAIN = ("left", "failed")


@dataclass(frozen=True)
class PlannedTrial:
    """A trial, what there is of it, and the seconds it should take where earlier records tell."""

    trial: Trial
    state: State
    seconds: float | None


@dataclass(frozen=True)
class SuiteStatus:
    """How many of a suite's trials are in which state, and what is unreadable or stale."""

    folder: str
    counts: dict[State, int]
    stale: int
    unreadable: list[str] = field(default_factory=list)

    @property
    def is_troubled(self) -> bool:
        """Tell whether a trial failed or diverged, or its record is unreadable."""
        return any(self.counts[state] for state in ("failed", "diverged", "unreadable"))


def plan(store: Store, suite: Suite, paces: Mapping[str, float] | None = None) -> list[PlannedTrial]:
    """List the suite's trials, each with its state and an estimate of its time.

    The estimates are from earlier records or else, by kind, from `paces`: seconds an epoch.
    """
    speeds = {**(paces or {}), **_epoch_seconds(store)}
    return [
        PlannedTrial(found.trial, found.state, _estimate(found.trial, speeds))
        for found in store.find_all(suite)
    ]


def longest_first(
    store: Store, trials: Iterable[Trial], paces: Mapping[str, float] | None = None
) -> list[Trial]:
    """Order trials by the time they should take, or else by their epochs; the longest first."""
    speeds = {**_epoch_seconds(store), **(paces or {})}
    known = list(trials)
    estimates = [_estimate(trial, speeds) for trial in known]
    if any(estimate is None for estimate in estimates):
        return sorted(known, key=lambda trial: -trial.settings.training.epochs)
    ranked = sorted(
        zip(estimates, range(len(known)), strict=True), key=lambda pair: (-(pair[0] or 0), pair[1])
    )
    return [known[index] for _, index in ranked]


def plan_text(suite: Suite, planned: Sequence[PlannedTrial]) -> str:
    """Write a line for each trial, and what is left in all."""
    rows = [("trial", "state", "digest", "estimate")]
    for each in planned:
        estimate = "unknown" if each.seconds is None else duration(each.seconds)
        estimate = estimate if each.state in _TO_TRAIN else ""
        rows.append((each.trial.name, each.state, each.trial.digest[:8], estimate))
    left = [each for each in planned if each.state in _TO_TRAIN]
    known = [each.seconds for each in left if each.seconds is not None]
    total = f"{len(left)} of {len(planned)} trials left"
    if left:
        unknown = f", {len(left) - len(known)} without an estimate" if len(known) < len(left) else ""
        total += (
            f": {duration(sum(known))} on one rank{unknown}" if known else "; nothing measured tells how long"
        )
    return f"{suite.folder}: {suite.title}\n{_columns(rows)}\n{total}"


def status(store: Store, suite: Suite) -> SuiteStatus:
    """Count what is on disk of the suite."""
    counts: dict[State, int] = dict.fromkeys(("done", "failed", "diverged", "left", "unreadable"), 0)
    unreadable = []
    for found in store.find_all(suite):
        counts[found.state] += 1
        if found.error:
            unreadable.append(found.error)
    return SuiteStatus(suite.folder, counts, len(store.stale(suite)), unreadable)


def status_text(states: Sequence[SuiteStatus]) -> str:
    """Write a line for each suite, then what is unreadable."""
    if not states:
        return "no results yet"
    rows: list[tuple[str, ...]] = [("suite", *states[0].counts, "stale")]
    rows += [(each.folder, *map(str, each.counts.values()), str(each.stale)) for each in states]
    return "\n".join([_columns(rows), *(error for each in states for error in each.unreadable)])


def duration(seconds: float) -> str:
    """Write seconds as people do: 12 s, 3 min 20 s, 1 h 02 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min"


def _epoch_seconds(store: Store) -> dict[str, float]:
    """Return the median seconds an epoch for every kind of trial that has a record."""
    seconds: dict[str, list[float]] = {}
    for path in sorted(store.root.glob("*/*/seed-*.json")):
        try:
            record = Record.from_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # named by `status`; an estimate can do without it
        each = [epoch.train_seconds + epoch.eval_seconds for epoch in record.epochs]
        seconds.setdefault(_kind(record.settings), []).extend(each[1:] or each)
    return {kind: statistics.median(values) for kind, values in seconds.items() if values}


def _estimate(trial: Trial, speeds: dict[str, float]) -> float | None:
    each = speeds.get(kind_of(trial))
    return None if each is None else each * trial.settings.training.epochs


def kind_of(trial: Trial) -> str:
    """Return what a trial's time an epoch depends on; trials of one kind take the same."""
    return _kind(trial.settings.model_dump())


def _kind(settings: dict[str, Any]) -> str:
    training = {key: value for key, value in settings["training"].items() if key not in _TIMELESS}
    return json.dumps({**settings, "training": training}, sort_keys=True)


def _columns(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
