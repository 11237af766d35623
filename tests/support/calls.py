"""Callbacks of a trial in a test: those that are given, the others do nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch import Tensor

from harness.results.record import Epoch
from harness.training.callbacks import Callbacks
from harness.training.checkpoint_policy import CheckpointAction


class Calls(Callbacks):
    """Callbacks that do nothing, but for the methods that are given."""

    def __init__(self, **methods: Any) -> None:
        vars(self).update(methods)

    def on_begin(self, history: list[Epoch]) -> None:
        pass

    def on_step(self, step: int, loss: Tensor) -> None:
        pass

    def on_batch(self) -> None:
        pass

    def on_boundary(self, is_saving: bool) -> CheckpointAction:
        return CheckpointAction.GO_ON

    def saving(self) -> AbstractContextManager[None]:
        return nullcontext()

    def on_epoch(self, epoch: Epoch) -> None:
        pass

    def on_note(self, text: str) -> None:
        pass
