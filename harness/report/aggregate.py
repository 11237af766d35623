"""Aggregates of one suite's records: experiments and their trials, reduced to what a report shows."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path

from harness.config.published import Figures, PublishedCurve
from harness.config.suite import Suite, Trial
from harness.report.facts import FACTS
from harness.results.epoch_rule import reported
from harness.results.metrics import OF_EPOCH
from harness.results.record import Epoch, Record
from harness.results.seed_rule import Decision, by_experiment, decide
from harness.results.store import Found, State, Store
from harness.results.superseded import superseded
from harness.stats import Summary, decimal, summary

_OTHERS = tuple(name for name in OF_EPOCH if name not in Epoch.model_fields)
FIGURES = (*(name for name in Epoch.model_fields if name not in {"epoch", "others"}), *_OTHERS)


@dataclass(frozen=True, slots=True)
class Entry:
    """A trial and its record, if there is one.

    `record` holds neither settings (they are the trial's) nor epochs: `epochs` has one value per epoch for
    each of FIGURES. `error` says why a record is unreadable, and `file` is its path within the results.
    `other_data` is the digest of the data of a stale record.
    """

    trial: Trial
    state: State
    file: str
    error: str | None = None
    record: Record | None = None
    epochs: Mapping[str, array[float]] = field(default_factory=dict)
    other_data: str = ""
    reported: int = -1

    @classmethod
    def of(cls, found: Found, file: str) -> Entry:
        """Return the entry of a trial, with what a report shows of its record."""
        record = found.record
        if record is None:
            return cls(found.trial, found.state, file, found.error, other_data=found.other_data)
        epochs = {name: array("d", (each.figure(name) for each in record.epochs)) for name in FIGURES}
        counts = reported(found.trial.settings.training, record.epochs)
        versions = record.versions.model_copy(update={"user_code": record.user_code})  # known by its settings
        slim = record.model_copy(update={"settings": {}, "epochs": [], "versions": versions})
        return cls(found.trial, found.state, file, None, slim, epochs, reported=counts)

    @property
    def seed(self) -> int:
        """Return the trial's seed."""
        return self.trial.seed

    @property
    def word(self) -> str:
        """Return the state's name in reports."""
        if self.other_data:
            return "stale"
        return "missing" if self.state == "left" else self.state

    @property
    def samples_per_second(self) -> float | None:
        """Return the speed of its training, if it was measured."""
        return self.record.samples_per_second if self.record else None

    @property
    def samples(self) -> dict[str, int]:
        """Return the number of samples of each split; earlier records leave it to the dataset's name."""
        known = self.trial.settings.dataset.sizes or ()
        by_name = dict(zip(("train", "test"), known, strict=False))
        return (self.record.samples if self.record else {}) or by_name

    def last(self, figure: str) -> float:
        """Return a metric of the epoch that counts, by default the last one."""
        return self.epochs[figure][self.reported]

    def exact(self, figure: str) -> float | Fraction:
        """Return a metric of the last epoch; an accuracy as an exact fraction of the dataset's images."""
        value, images = self.last(figure), self.samples.get(figure.partition("_")[0])
        if not OF_EPOCH[figure].is_fraction or not math.isfinite(value):
            return value
        if images is None:
            return decimal(value)
        right = round(value * images)
        is_count = math.isclose(right / images, value, rel_tol=1e-15)
        return Fraction(right, images) if is_count else decimal(value)


@dataclass(frozen=True)
class Row:
    """An experiment with all its trials and their records, in the order of seeds."""

    name: str
    entries: Sequence[Entry]
    published: Figures | None = None
    curves: Sequence[PublishedCurve] = ()
    decision: Decision | None = None

    @cached_property
    def done(self) -> list[Entry]:
        """Return the entries of the trials that are done."""
        return [each for each in self.entries if each.state == "done"]

    def summary(self, figure: str) -> Summary | None:
        """Summarise a metric of the last epoch over the trials that are done; None if a record lacks it."""
        values = [each.exact(figure) for each in self.done]
        is_known = values and all(map(math.isfinite, values))
        return summary(values, self.deciding) if is_known else None

    @cached_property
    def test_accuracy(self) -> Summary | None:
        """Summarise the last epoch's testing accuracy."""
        return self.summary("test_accuracy")

    @property
    def is_decided(self) -> bool:
        """Return whether the number of seeds is decided."""
        return self.decision is None or self.deciding is not None

    @property
    def deciding(self) -> int | None:
        """Return how many values decided the number of seeds; None if the suite gives the seeds."""
        return self.decision.deciding if self.decision else None

    @property
    def errors(self) -> list[str]:
        """Return the error messages of unreadable records."""
        return [each.error for each in self.entries if each.error]

    def absentees(self) -> dict[str, list[int]]:
        """Return the seeds of trials that are not in the statistics, by reason."""
        reasons: dict[str, list[int]] = {}
        for each in self.entries:
            if each.state != "done":
                reasons.setdefault(each.word, []).append(each.seed)
        return dict(sorted(reasons.items()))

    def absent(self) -> str:
        """Return the seeds of trials that are not in the statistics, with reasons, as text."""
        return "; ".join(f"{reason}: {seeds_text(seeds)}" for reason, seeds in self.absentees().items())

    def seeds_by(self, fact: str) -> dict[str, list[int]]:
        """Return the seeds of done trials by a fact of their records, one of FACTS."""
        seeds: dict[str, list[int]] = {}
        for each in self.done:
            if each.record:
                seeds.setdefault(FACTS[fact](each.record) or "none", []).append(each.seed)
        return dict(sorted(seeds.items()))


@dataclass(frozen=True)
class SuiteResults:
    """A suite with one row per experiment; `superseded` counts records that were set aside, by experiment."""

    suite: Suite
    rows: Sequence[Row]
    superseded: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store, folder: str, given: Suite | None = None) -> SuiteResults:
        """Read a suite's records; only those of one experiment are whole in memory at a time."""
        suite = given or store.load_suite(folder)
        rows = [row_of(store, suite, each) for each in by_experiment(suite).values()]
        return cls(suite, rows, superseded(store, folder))

    @property
    def unreadable(self) -> list[str]:
        """Return the error messages of unreadable records."""
        return [error for row in self.rows for error in row.errors]

    @cached_property
    def recorded(self) -> list[str]:
        """List the metrics to show: those of validation only where a record has them."""
        entries = [entry for row in self.rows for entry in row.entries]
        return [
            name
            for name in OF_EPOCH
            if not name.startswith("validation_")
            or any(math.isfinite(value) for each in entries for value in each.epochs.get(name, ()))
        ]

    @cached_property
    def chosen(self) -> Row | None:
        """Return the experiment that the suite's rule chooses, the first of equals; None without a rule."""
        by = self.suite.choose.by if self.suite.choose else ""
        means = [(value.mean, row) for row in self.rows if by and (value := row.summary(by))]
        best = min if by.endswith("loss") else max
        return best(means, key=lambda pair: pair[0])[1] if means else None

    def hides_test(self, row: Row) -> bool:
        """Tell whether an experiment's test figures are not shown, as validation has chosen another one."""
        rule = self.suite.choose
        return rule is not None and rule.needs_validation and row is not self.chosen

    @property
    def is_published_dataset(self) -> bool:
        """Return whether the published figures are for the same dataset."""
        return self.suite.published is not None and self.suite.published.dataset == self.suite.dataset.name


def row_of(store: Store, suite: Suite, trials: Sequence[Trial]) -> Row:
    """Read the records of one experiment for the trials it calls for; `trials` are in the order of seeds."""
    name = trials[0].experiment
    published = suite.published.experiments if suite.published else {}
    decision = decide(store, suite, trials) if suite.seed_rule else None
    entries = [_entry(store, each) for each in trials[: decision.seeds if decision else None]]
    return Row(name, entries, published.get(name), suite.curves.get(name, ()), decision)


def seeds_text(seeds: Sequence[int]) -> str:
    """Return seeds as text, in order: `seed 3`, `seeds 1, 2`, or `seeds 1 to 47`."""
    return f"seed{'s' * (len(seeds) > 1)} {numbers_text(seeds)}"


def numbers_text(numbers: Sequence[int]) -> str:
    """Return whole numbers as text; more than three consecutive ones are shown as a range."""
    rows: list[list[int]] = []
    for number in numbers:
        if rows and number == rows[-1][-1] + 1:
            rows[-1].append(number)
        else:
            rows.append([number])
    texts = (f"{row[0]} to {row[-1]}" if len(row) > 3 else ", ".join(map(str, row)) for row in rows)
    return ", ".join(texts)


def _entry(store: Store, trial: Trial) -> Entry:
    found = store.find(trial)
    path: Path = store.record_path(trial)
    return Entry.of(found, path.relative_to(store.root).as_posix())
