"""Dispatch of a trial's epochs to trackers: live, so that no tracker can harm it, or from its record."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from harness.config.suite import Trial
from harness.errors import HarnessError, is_of_trial
from harness.results.record import Epoch
from harness.results.store import Store
from harness.tracking.interface import End, TrackedEpoch, TrackedTrial, Tracker
from harness.tracking.registry import default_root, opener
from harness.tracking.worker_thread import WorkerThread

_PATIENCE_SECONDS = 60.0


@dataclass
class Dispatcher:
    """Context that calls a trial's trackers; one that fails or hangs is reported and not called again.

    Each tracker is always called in the same thread of its own. Its calls are waited for so briefly that
    trackers which hang never let a trial exceed its `timeout_seconds` without a step.

    At the end of the `with` block the trackers receive how the trial ended: `status`, or that it failed.
    """

    trial: Trial
    store: Store
    names: Sequence[str]
    note: Callable[[str], None]
    timeout_seconds: float = 600.0
    status: End = "left"
    now: Callable[[], float] = time.time
    _train_size: int = 0
    _threads: dict[str, WorkerThread] = field(default_factory=dict)
    _trackers: dict[str, Tracker] = field(default_factory=dict)

    def __enter__(self) -> Dispatcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end: End = "failed" if is_of_trial(error) else self.status
        for name in list(self._threads):
            self._ask(name, lambda tracker: tracker.end(end))
        for thread in self._threads.values():
            thread.close()

    def begin(self, history: Sequence[Epoch], train_size: int) -> None:
        """Open the trackers and send them the epochs that were trained before."""
        self._train_size = train_size
        patience_seconds = min(_PATIENCE_SECONDS, self.timeout_seconds / (3 * max(1, len(self.names))))
        for name in dict.fromkeys(self.names):
            self._threads[name] = WorkerThread(f"tracker {name}", patience_seconds)
            self._have_done(name, lambda name=name: self._open(name, history))  # type: ignore[misc]

    def epoch(self, epoch: Epoch) -> None:
        """Send an epoch's metrics to the trackers."""
        now = self.now()
        for name in list(self._threads):
            (told,) = tracked_epochs([epoch], self._train_size, now)
            self._ask(name, lambda tracker, told=told: tracker.epoch(told))  # type: ignore[misc]

    def _open(self, name: str, history: Sequence[Epoch]) -> None:
        root = default_root(self.store, name)
        tracker = opener("--log", name)(tracked(self.trial, self.store, root))
        for epoch in tracked_epochs(history, self._train_size, self.now()):
            tracker.epoch(epoch)
        self._trackers[name] = tracker

    def _ask(self, name: str, what: Callable[[Tracker], None]) -> None:
        self._have_done(name, lambda: what(self._trackers[name]))

    def _have_done(self, name: str, work: Callable[[], None]) -> None:
        error = self._threads[name].trouble(work)
        if error is not None:
            self._threads.pop(name).close()
            self.note(
                f"{self.trial.key}: logging to {name} failed: {reason(error)}; the trial goes on without it"
            )


def tracked(trial: Trial, store: Store, root: Path) -> TrackedTrial:
    """Return the description of the trial for a tracker whose folders are under `root`."""
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
    """Return epochs for a tracker, timed as if trained without a break until `ended_at`."""
    found: list[TrackedEpoch] = []
    for epoch in reversed(epochs):
        figures = {**epoch.figures, "samples_per_second": train_size / epoch.train_seconds}
        found.insert(0, TrackedEpoch(epoch.epoch, ended_at, figures))
        ended_at -= epoch.train_seconds + epoch.eval_seconds
    return found


def reason(error: BaseException) -> str:
    """Return a tracker's error as one line."""
    try:
        text = str(error).strip()
    except Exception:  # str() of an exception from user code may raise, too
        text = ""
    if isinstance(error, HarnessError) or not text:
        return text or type(error).__name__
    return f"{type(error).__name__}: {text.splitlines()[0]}"
