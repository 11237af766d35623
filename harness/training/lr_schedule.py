"""Learning rate of a trial: exact on the host, and copied to where the optimizer reads it."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from harness.config.settings import Training
from harness.training.dynamo_stub import optimizer_class


class LearningRate:
    """Sets an optimizer's learning rate by the scheduler of the settings, which steps once an epoch.

    torch's scheduler drives a stand-in optimizer without weights: some schedulers multiply the last rate, and
    if an optimizer holds its rate as a float32 tensor, the rounding would add up.
    """

    def __init__(self, training: Training, optimizer: torch.optim.Optimizer) -> None:
        self._optimizer = optimizer
        lr = training.optimizer.lr
        self._exact = optimizer_class("SGD")([torch.zeros(())], lr=lr)  # type: ignore[call-arg]
        self._scheduler: torch.optim.lr_scheduler.LRScheduler | None = None
        if training.scheduler is not None:
            settings: dict[str, Any] = training.scheduler.model_dump()
            kind = getattr(torch.optim.lr_scheduler, settings.pop("name"))
            self._scheduler = kind(self._exact, **settings)
            self._copy()

    @property
    def value(self) -> float:
        """Return the learning rate of the next steps."""
        return float(self._exact.param_groups[0]["lr"])

    def advance(self) -> None:
        """Move on to the next epoch's rate."""
        if self._scheduler is None:
            return
        with warnings.catch_warnings():  # the stand-in takes no steps
            warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
            self._scheduler.step()
        self._copy()

    def state_dict(self) -> dict[str, Any] | None:
        """Return the scheduler's state, None without a scheduler."""
        return None if self._scheduler is None else self._scheduler.state_dict()

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        """Restore a state, which may come from any device or engine."""
        if self._scheduler is None or state is None:
            return
        self._scheduler.load_state_dict(state)
        for group, lr in zip(self._exact.param_groups, self._scheduler.get_last_lr(), strict=True):
            group["lr"] = lr
        self._copy()

    def _copy(self) -> None:
        for group in self._optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(self.value)
            else:
                group["lr"] = self.value
