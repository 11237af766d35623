"""Average of a model's weights over steps (EMA) or epochs (SWA), which is evaluated in their place."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from harness.config.settings import Training
from harness.training.kept_state import kept_state


class WeightAverage:
    """Average of a model's trained weights; all else of the model is as it is.

    Under EMA every step counts, under SWA every epoch from a first one on; until then the average is that of
    the latest weights alone.
    """

    def __init__(self, training: Training, model: nn.Module) -> None:
        self._ema, self._swa, self.model = training.ema, training.swa, model
        self._weights = [
            each.detach() for each in model.parameters() if each.is_floating_point() or each.is_complex()
        ]
        self._averages = [each.clone() for each in self._weights]
        self._counted = 0  # the last epoch that counts under SWA
        self.live: dict[str, Any] | None = None  # the model's own state, while it has the average

    @classmethod
    def of(cls, training: Training, model: nn.Module) -> WeightAverage | None:
        """Return the average that the settings ask for, None if they ask for none."""
        return cls(training, model) if training.ema or training.swa else None

    @property
    def has_norms(self) -> bool:
        """Tell whether running statistics have to be estimated for the average."""
        norms = (each for each in self.model.modules() if isinstance(each, _BatchNorm))
        return any(each.track_running_stats for each in norms)

    def update(self) -> None:
        """Count a step."""
        if self._ema:
            torch._foreach_lerp_(self._averages, self._weights, 1 - self._ema.decay)

    def update_after(self, epoch: int) -> None:
        """Count the end of an epoch, by its number from 1; once, also where its evaluation is repeated."""
        if self._swa and epoch > self._counted:
            count = max(0, epoch - self._swa.start_epoch)
            torch._foreach_lerp_(self._averages, self._weights, 1 / (count + 1))
            self._counted = epoch

    @contextlib.contextmanager
    def in_model(self) -> Iterator[None]:
        """Have the average in the model, until the context ends and the model is as it was."""
        with kept_state(self.model) as live:
            self.live = live
            torch._foreach_copy_(self._weights, self._averages)
            try:
                yield
            finally:
                self.live = None

    @property
    def tensors(self) -> list[Tensor]:
        """Return the average of each weight."""
        return self._averages

    def state_dict(self) -> dict[str, Any]:
        """Return the average and the last epoch that counts."""
        return {"averages": self._averages, "counted": self._counted}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore an average."""
        self._counted = int(state["counted"])
        for own, each in zip(self._averages, state["averages"], strict=True):
            own.copy_(each)
