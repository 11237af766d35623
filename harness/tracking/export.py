"""Export of finished trials from their records to a tracker, as if logged during training."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from harness.config.suite import Suite, Trial
from harness.results.record import Record
from harness.results.store import Store
from harness.tracking.dispatch import reason, tracked, tracked_epochs
from harness.tracking.interface import OpenTracker


def export(store: Store, suite: Suite, open_tracker: OpenTracker, root: Path) -> tuple[int, list[str]]:
    """Export a suite's finished trials to the tracker; return how many, and error messages for the others."""
    count, troubles = 0, []
    for found in map(store.find, suite.trials()):
        if found.error:
            troubles.append(found.error)
        if found.record is None or found.state not in ("done", "diverged"):
            continue
        try:
            _tell(found.trial, found.record, store, open_tracker, root)
            count += 1
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a library may raise SystemExit, or have a task of its own cancelled
            troubles.append(f"{found.trial.key}: export failed: {reason(error)}")
    return count, troubles


def _tell(trial: Trial, record: Record, store: Store, open_tracker: OpenTracker, root: Path) -> None:
    tracker = open_tracker(tracked(trial, store, root))
    first_speed = record.first_epoch_samples_per_second or 0.0
    train_size = round(first_speed * record.epochs[0].train_seconds)
    ended_at = datetime.fromisoformat(record.ended_at).timestamp()
    for epoch in tracked_epochs(record.epochs, train_size, ended_at):
        tracker.epoch(epoch)
    tracker.end(record.status)
