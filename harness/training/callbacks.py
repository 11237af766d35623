"""Callbacks of one trial's training: when each is called, and with what."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from torch import Tensor

from harness.results.record import Epoch
from harness.training.checkpoint_policy import CheckpointAction


@dataclass
class Callbacks:
    """What a trial's training calls; by default each does nothing."""

    # Once, before the first step: the epochs that were trained before.
    on_begin: Callable[[list[Epoch]], None] = lambda history: None
    # After each training step: its number from 0 over the whole trial, and this rank's summed loss.
    on_step: Callable[[int, Tensor], None] = lambda step, loss: None
    # After each evaluation batch.
    on_batch: Callable[[], None] = lambda: None
    # After each epoch, once its state is saved; not if the trial is dropped.
    on_epoch: Callable[[Epoch], None] = lambda epoch: None
    # Whenever there is something that a user should know.
    on_note: Callable[[str], None] = lambda text: None
    # About once a second and after each epoch, on all ranks; rank 0's answer counts. Told whether a state is
    # about to be saved.
    on_boundary: Callable[[bool], CheckpointAction] = lambda saving: CheckpointAction.GO_ON
    # Entered while a state is written.
    saving: Callable[[], AbstractContextManager[None]] = nullcontext
