"""The feeding of one trial's trackers: as it trains, so that none of them can harm it, or from its record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from harness.errors import HarnessError
from harness.record import Epoch
from harness.store import Store
from harness.suite import Trial
from harness.tracking.interface import End, TrackedEpoch, TrackedTrial, Tracker
from harness.tracking.named import default_root, opener


@dataclass
class Feed:
    """Tells a trial's trackers how it goes; one that fails is noted, and told nothing more.

    Leave the `with` block and they are told how the trial ended: `status`, or that it failed.
    """

    trial: Trial
    store: Store
    names: Sequence[str]
    note: Callable[[str], None]
    status: End = "left"
    now: Callable[[], float] = time.time
    _train_size: int = 0
    _open: dict[str, Tracker] = field(default_factory=dict)

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        is_failure = isinstance(error, Exception) and not isinstance(error, HarnessError)
        for name, tracker in list(self._open.items()):
            with self._softly(name):
                tracker.end("failed" if is_failure else self.status)

    def begin(self, history: Sequence[Epoch], train_size: int) -> None:
        """Open the trackers, and tell them the epochs that were trained before."""
        self._train_size = train_size
        before = tracked_epochs(history, train_size, self.now())
        for name in dict.fromkeys(self.names):
            with self._softly(name):
                root = default_root(self.store, name)
                tracker = opener("--log", name)(tracked(self.trial, self.store, root))
                for epoch in before:
                    tracker.epoch(epoch)
                self._open[name] = tracker

    def epoch(self, epoch: Epoch) -> None:
        """Tell the trackers an epoch's figures."""
        (tracked_epoch,) = tracked_epochs([epoch], self._train_size, self.now())
        for name, tracker in list(self._open.items()):
            with self._softly(name):
                tracker.epoch(tracked_epoch)

    @contextmanager
    def _softly(self, name: str) -> Iterator[None]:
        try:
            yield
        except (Exception, SystemExit) as error:  # of a user's code, or of a library that would end us
            self._open.pop(name, None)
            self.note(
                f"{self.trial.key}: logging to {name} failed: {reason(error)}; the trial goes on without it"
            )


def tracked(trial: Trial, store: Store, root: Path) -> TrackedTrial:
    """Describe the trial to a tracker whose folders stand under `root`."""
    record = store.record_path(trial)
    return TrackedTrial(
        suite=trial.folder,
        experiment=trial.experiment,
        seed=trial.seed,
        digest=trial.digest,
        settings=trial.settings.model_dump(),
        record=record,
        folder=root / trial.folder / trial.experiment / record.stem,
    )


def tracked_epochs(epochs: Sequence[Epoch], train_size: int, ended_at: float) -> list[TrackedEpoch]:
    """Describe epochs to a tracker, as if they were trained in one go and the last ended at `ended_at`."""
    found: list[TrackedEpoch] = []
    for epoch in reversed(epochs):
        figures: dict[str, float] = {key: value for key, value in epoch if key != "epoch"}
        figures["samples_per_second"] = train_size / epoch.train_seconds
        found.insert(0, TrackedEpoch(epoch.epoch, ended_at, figures))
        ended_at -= epoch.train_seconds + epoch.eval_seconds
    return found


def reason(error: BaseException) -> str:
    """Say in one line what went wrong in a tracker."""
    lines = str(error).strip().splitlines()
    if isinstance(error, HarnessError) or not lines:
        return str(error) or type(error).__name__
    return f"{type(error).__name__}: {lines[0]}"
