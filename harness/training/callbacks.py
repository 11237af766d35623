"""Callbacks of one trial's training: when each is called, and with what."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from torch import Tensor

from harness.results.record import Epoch
from harness.training.checkpoint_policy import CheckpointAction


class Callbacks(Protocol):
    """What a trial's training calls, on each of its ranks."""

    def on_begin(self, history: list[Epoch]) -> None:
        """Take the epochs that were trained before; called once, before the first step."""

    def on_step(self, step: int, loss: Tensor) -> None:
        """Take a step's number, from 0 over the trial, and this rank's summed loss; called after it."""

    def on_batch(self) -> None:
        """Count a batch; called after each one of evaluation."""

    def on_boundary(self, is_saving: bool) -> CheckpointAction:
        """Return what to do, where rank 0's answer counts; called about once a second and after each epoch.

        `is_saving` tells whether a state is going to be saved anyway.
        """
        ...

    def saving(self) -> AbstractContextManager[None]:
        """Return a context; called, and entered, while a state is written."""
        ...

    def on_epoch(self, epoch: Epoch) -> None:
        """Take a new epoch; called once its state is saved, and not if the trial is dropped."""

    def on_note(self, text: str) -> None:
        """Take a sentence; called whenever there is something that a user should know."""
