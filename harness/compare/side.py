"""One side of a row: an experiment and what its trials came to."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from harness.adaptive import decide
from harness.record import Epoch, Hardware, Record, Versions
from harness.store import State, Store
from harness.suite import Suite, Trial


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a comparison needs of a trial that is done; `curves` is a hash of all epochs' figures."""

    digest: str
    last: Epoch
    curves: bytes
    samples_per_second: float | None
    hardware: Hardware
    versions: Versions
    data_digest: str

    @classmethod
    def of(cls, record: Record) -> Outcome:
        """Take out of a record what a comparison needs; its epochs need not be kept."""
        figures = [
            (each.train_loss, each.train_accuracy, each.test_loss, each.test_accuracy)
            for each in record.epochs
        ]
        return cls(
            record.digest,
            record.epochs[-1],
            hashlib.sha256(repr(figures).encode()).digest(),
            record.samples_per_second,
            record.hardware,
            record.versions,
            sys.intern(record.data_digest),
        )


@dataclass(frozen=True)
class Side:
    """An experiment's outcomes by seed, and the seeds that have none by the reason.

    `deciding` is how many outcomes decided how many seeds there are, None where the suite gives them.
    """

    suite: Suite
    experiment: str
    outcomes: dict[int, Outcome]
    absent: dict[State, list[int]]
    errors: list[str]
    deciding: int | None = None

    @classmethod
    def of(cls, store: Store, folder: str, suite: Suite, experiment: str, trials: Iterable[Trial]) -> Side:
        """Look up those of its trials that the suite calls for, in a folder that may have been renamed."""
        trials = [replace(trial, folder=folder) for trial in trials]
        decision = decide(store, suite, trials)
        side = cls(suite, experiment, {}, {}, [], decision.deciding)
        for trial in trials[: decision.seeds]:
            found = store.find(trial)
            if found.state == "done" and found.record is not None:
                side.outcomes[trial.seed] = Outcome.of(found.record)
            else:
                side.absent.setdefault(found.state, []).append(trial.seed)
            if found.error:
                side.errors.append(found.error)
        return side

    def seeds_by(self, aspect: Callable[[Outcome], str]) -> dict[str, list[int]]:
        """Return the seeds that share each value of an aspect."""
        found: dict[str, list[int]] = {}
        for seed, outcome in self.outcomes.items():
            found.setdefault(aspect(outcome), []).append(seed)
        return dict(sorted(found.items()))
