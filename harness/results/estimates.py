"""The pending trials of a suite, and estimates of their time from earlier records."""

from __future__ import annotations

import contextlib
import json
import statistics
from array import array
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.config.suite import Suite, Trial
from harness.formatting import columns, duration
from harness.results.data_digests import stale_texts
from harness.results.record import Record
from harness.results.seed_rule import called_for
from harness.results.store import State, Store, to_train

# Training settings that do not change a trial's seconds per epoch.
_TIMELESS = ("epochs", "scheduler")


@dataclass(frozen=True)
class PlannedTrial:
    """A trial, its state on disk, and its estimated seconds, None if unknown.

    `other_data` is the digest of the data of its record, if that is stale.
    """

    trial: Trial
    state: State
    seconds: float | None
    other_data: str = ""


@dataclass(frozen=True)
class SuiteStatus:
    """Counts of a suite's trials by state and of stale records; sentences on stale and unreadable ones."""

    folder: str
    counts: dict[State, int]
    stale: int
    unreadable: list[str] = field(default_factory=list)
    other_data: list[str] = field(default_factory=list)

    @property
    def is_troubled(self) -> bool:
        """Tell whether a trial failed or diverged, or its record is unreadable."""
        return any(self.counts[state] for state in ("failed", "diverged", "unreadable"))

    @property
    def not_trained(self) -> list[str]:
        """Return how many trials are not trained yet, in a sentence; none if all are."""
        left = sum(self.counts[state] for state in ("left", "failed"))
        total = sum(self.counts.values())
        return [f"{self.folder}: {left} of {total} trials are not trained yet"] if left else []


def plan(store: Store, suite: Suite, paces: Mapping[str, float] | None = None) -> list[PlannedTrial]:
    """List the suite's trials, each with its state and an estimate of its time.

    Estimates come from earlier records or else from `paces`, the seconds per epoch by kind of trial.
    """
    seconds, known = EpochSeconds(), called_for(store, [suite], suite.trials())
    states: list[tuple[State, str]] = []
    read: set[Path] = set()
    for trial in known:
        found = store.find(trial)
        states.append((found.state, found.other_data))
        if found.record is not None:
            seconds.add(found.record)
            read.add(store.record_path(trial).with_suffix(""))
    seconds.add_all(store, read)
    speeds = {**(paces or {}), **seconds.medians()}
    return [
        PlannedTrial(trial, state, estimate, other_data)
        for trial, (state, other_data), estimate in zip(known, states, estimates(known, speeds), strict=True)
    ]


def longest_first(
    store: Store, trials: Iterable[Trial], paces: Mapping[str, float] | None = None
) -> list[Trial]:
    """Sort trials by estimated time, the longest first; unknown times count as long."""
    known, speeds = list(trials), dict(paces or {})
    if not set(_kinds(known)) <= set(speeds):
        seconds = EpochSeconds()
        seconds.add_all(store)
        speeds = {**seconds.medians(), **speeds}
    epochs = [trial.settings.training.epochs for trial in known]
    return [known[place] for place in starting_order(estimates(known, speeds), epochs)]


def starting_order(estimates: Sequence[float | None], epochs: Sequence[int]) -> list[int]:
    """Return the indices of trials in the order in which they start: the longest first, ties as given.

    A trial of unknown time counts as slow per epoch as the slowest known one, so that a long one does not end
    last and alone. If no time is known, the number of epochs decides.
    """
    known = [
        (estimate, count) for estimate, count in zip(estimates, epochs, strict=True) if estimate is not None
    ]
    slowest = max((estimate / count for estimate, count in known), default=1.0)
    seconds = [
        slowest * count if estimate is None else estimate
        for estimate, count in zip(estimates, epochs, strict=True)
    ]
    return sorted(range(len(seconds)), key=lambda place: -seconds[place])


def plan_text(suite: Suite, planned: Sequence[PlannedTrial]) -> str:
    """Format the plan: a line for each trial, then the total that is left."""
    rows = [("trial", "state", "digest", "estimate")]
    for each in planned:
        estimate = "unknown" if each.seconds is None else duration(each.seconds)
        estimate = estimate if each.state in to_train() else ""
        state = "stale" if each.other_data else each.state
        rows.append((each.trial.name, state, each.trial.digest[:8], estimate))
    left = [each for each in planned if each.state in to_train()]
    known = [each.seconds for each in left if each.seconds is not None]
    total = f"{len(left)} of {len(planned)} trials left"
    if left:
        unknown = f", {len(left) - len(known)} without an estimate" if len(known) < len(left) else ""
        total += f": {duration(sum(known))} on one rank{unknown}" if known else "; no timing is known yet"
    rule = suite.seed_rule
    if rule and any(each.trial.seed in suite.seeds[: rule.at_least] for each in left):  # not decided yet
        total += f"\nresults may require more seeds, up to {rule.at_most} per experiment"
    stale = [(each.trial.experiment, each.other_data) for each in planned if each.other_data]
    return "\n".join([f"{suite.folder}: {suite.title}", columns(rows), total, *stale_texts(suite, stale)])


def status(store: Store, suite: Suite) -> SuiteStatus:
    """Count the suite's trials by their state on disk."""
    counts: dict[State, int] = dict.fromkeys(("done", "failed", "diverged", "left", "unreadable"), 0)
    unreadable, stale = [], []
    trials = called_for(store, [suite], suite.trials())
    for found in map(store.find, trials):  # one at a time: many records may not fit in memory
        counts[found.state] += 1
        if found.error:
            unreadable.append(found.error)
        if found.other_data:
            stale.append((found.trial.experiment, found.other_data))
    count = len(store.stale(suite)) + len(stale)
    return SuiteStatus(suite.folder, counts, count, unreadable, stale_texts(suite, stale))


def status_text(states: Sequence[SuiteStatus]) -> str:
    """Format the status: a line for each suite, then sentences on unreadable and stale records."""
    if not states:
        return "no results yet"
    rows: list[tuple[str, ...]] = [("suite", *states[0].counts, "stale")]
    rows += [(each.folder, *map(str, each.counts.values()), str(each.stale)) for each in states]
    sentences = [text for each in states for text in (*each.unreadable, *each.other_data)]
    return "\n".join([columns(rows), *sentences])


class EpochSeconds:
    """Collects the seconds per epoch from records, by kind of trial; keeps no record."""

    def __init__(self) -> None:
        self._by_kind: dict[str, array[float]] = {}

    def add(self, record: Record) -> None:
        """Add a record's epochs; the first, which is slower, only if there is no other."""
        each = [epoch.train_seconds + epoch.eval_seconds for epoch in record.epochs]
        self._by_kind.setdefault(_kind(record.settings), array("d")).extend(each[1:] or each)

    def add_all(self, store: Store, but: Set[Path] = frozenset()) -> None:
        """Add the records of all suites except `but`; skip unreadable ones, which `status` reports."""
        for path in store.root.glob("*/*/seed-*.json"):
            if path.with_name(path.name.partition(".")[0]) not in but:
                with contextlib.suppress(OSError, ValueError):
                    self.add(Record.from_json(path.read_text(encoding="utf-8")))

    def medians(self) -> dict[str, float]:
        """Return the median seconds per epoch of each kind."""
        return {kind: statistics.median(values) for kind, values in self._by_kind.items() if values}


def estimates(trials: Sequence[Trial], speeds: Mapping[str, float]) -> list[float | None]:
    """Return each trial's estimated seconds, from seconds per epoch by kind; None if unknown."""
    each = [speeds.get(kind) for kind in _kinds(trials)]
    return [
        None if pace is None else pace * trial.settings.training.epochs
        for pace, trial in zip(each, trials, strict=True)
    ]


def _kinds(trials: Sequence[Trial]) -> list[str]:
    """Return the kind of each trial; the seeds of an experiment share settings, and so their kind."""
    by_settings: dict[int, str] = {}
    for trial in trials:
        if id(trial.settings) not in by_settings:
            by_settings[id(trial.settings)] = kind_of(trial)
    return [by_settings[id(trial.settings)] for trial in trials]


def kind_of(trial: Trial) -> str:
    """Return the settings, as JSON, that decide a trial's seconds per epoch; equal ones take the same."""
    return _kind(trial.settings.model_dump())


def _kind(settings: dict[str, Any]) -> str:
    training = {key: value for key, value in settings["training"].items() if key not in _TIMELESS}
    return json.dumps({**settings, "training": training}, sort_keys=True)
