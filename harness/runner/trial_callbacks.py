"""Callbacks of a trial's training: its progress, the console, the trackers, and its lease before a save."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

from torch import Tensor

from harness.config.suite import Trial
from harness.errors import LostLeaseError
from harness.results.lease import Lease
from harness.results.record import Epoch
from harness.runner.heartbeat import Heartbeat
from harness.runner.trial_progress import TrialProgress
from harness.runner.trial_queue import TrialQueue
from harness.tracking import Dispatcher
from harness.training.callbacks import Callbacks
from harness.training.checkpoint_policy import CheckpointAction

# What the console shows of an epoch.
_SHOWN = ("epoch", "train_loss", "train_accuracy", "test_accuracy")


@dataclass
class TrialCallbacks(Callbacks):
    """Callbacks of one trial on one of its ranks; an epoch of it has `steps` steps and `batches` batches."""

    trial: Trial
    lease: Lease
    is_rank_zero: bool
    train_size: int
    steps: int
    batches: int
    trial_progress: TrialProgress
    heartbeat: Heartbeat
    trial_queue: TrialQueue
    dispatcher: Dispatcher
    is_saved: bool = False
    untold: Epoch | None = None

    def on_begin(self, history: list[Epoch]) -> None:
        """Show the trial's progress so far, and give trackers the epochs that were trained before."""
        self.trial_queue.record_writer.guard.confirm(self.trial)
        self.trial_progress.last = history[-1] if history else None
        self.trial_progress.move(len(history) * (self.steps + self.batches))
        with self.saving():
            self.dispatcher.begin(history, self.train_size)

    def on_step(self, step: int, loss: Tensor) -> None:
        """Count the step, from the trial's beginning also where it goes on from a checkpoint."""
        self.trial_progress.move(step + 1 + step // self.steps * self.batches)

    def on_batch(self) -> None:
        """Count the evaluation batch."""
        self.trial_progress.move()

    def on_boundary(self, is_saving: bool) -> CheckpointAction:
        """Return what this rank wants at a boundary; before a save rank 0 checks the lease."""
        is_stopping = self.heartbeat.is_stopping
        self.is_saved = is_saving or is_stopping
        if self.is_rank_zero and (is_saving or is_stopping):
            try:
                self.trial_queue.leases.check(self.trial, self.lease)
            except LostLeaseError as error:
                self.heartbeat.events.note(str(error))
                return CheckpointAction.DROP
        return CheckpointAction.STOP if is_stopping else CheckpointAction.GO_ON

    def saving(self) -> AbstractContextManager[None]:
        """Mark that a file is being written, for which no other rank is needed."""
        return self.trial_progress.saving()

    def on_epoch(self, epoch: Epoch) -> None:
        """Tell the console and the trackers, once the epoch is saved: none is told twice after a kill."""
        self.trial_progress.last = epoch
        if self.is_rank_zero:
            self.untold = epoch
            if self.is_saved:
                self.tell()

    def tell(self) -> None:
        """Tell of the epoch that was saved with the record only, if there is one."""
        if (epoch := self.untold) is None:
            return
        self.untold = None
        figures = {name: epoch.figure(name) for name in _SHOWN}
        self.heartbeat.events.tell(
            {
                "kind": "epoch",
                "trial": self.trial.key,
                "epochs": self.trial.settings.training.epochs,
                "samples_per_second": self.train_size / epoch.train_seconds,
                **figures,
            }
        )
        with self.saving():
            self.dispatcher.epoch(epoch)

    def on_note(self, text: str) -> None:
        """Show a note about the trial."""
        if self.is_rank_zero:
            self.heartbeat.events.note(f"{self.trial.key}: {text}")
