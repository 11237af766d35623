"""Losses as functions of logits (N, K) and labels (N,), and the mean of them that a step minimizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from harness.config.losses import Binary, CrossEntropy, LossSettings, OwnLoss
from harness.errors import LossError
from harness.plugins import imported

# Called as torch's cross_entropy: (logits, labels, weight=…, reduction="sum" or "none").
LossFunction = Callable[..., Tensor]


@dataclass(frozen=True)
class Targets:
    """Labels (N,) of a batch; of mixed images also the labels mixed in, and the share (N,) of the first."""

    labels: Tensor
    mixed_in: Tensor | None = None
    share: Tensor | None = None

    @property
    def heavier(self) -> Tensor:
        """Return the labels that have the larger share."""
        if self.mixed_in is None or self.share is None:
            return self.labels
        return torch.where(self.share >= 0.5, self.labels, self.mixed_in)

    def mean_of(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Return a function (N,) of the labels, of two labels its mean weighted by their shares."""
        first = function(self.labels)
        if self.mixed_in is None or self.share is None:
            return first
        return self.share * first + (1 - self.share) * function(self.mixed_in)


@dataclass(frozen=True)
class Criterion:
    """A trial's loss; `weights` (K,) are the classes' weights, None if they weigh alike."""

    function: LossFunction
    weights: Tensor | None = None

    @classmethod
    def of(cls, settings: LossSettings, labels: Tensor, num_classes: int, dtype: torch.dtype) -> Criterion:
        """Return the loss of a trial that is trained on these labels."""
        weights = settings.class_weights
        if weights == "balanced":
            counts = labels.cpu().bincount(minlength=num_classes).clamp(min=1)
            weights = (len(labels) / (num_classes * counts.double())).tolist()
        function = FUNCTIONS[type(settings)](settings)
        if weights is None:
            return cls(function)
        return cls(function, torch.tensor(weights, dtype=dtype, device=labels.device))

    def over(self, labels: Tensor) -> Criterion:
        """Scale the weights to the mean 1 over these labels, so that sums over counts are weighted means."""
        if self.weights is None:
            return self
        return replace(self, weights=self.weights / self.weights.index_select(0, labels).mean())

    def summed(self, logits: Tensor, targets: Targets) -> Tensor:
        """Return the sum of the batch's weighted losses."""
        if targets.mixed_in is None:
            return self.function(logits, targets.labels, weight=self.weights, reduction="sum")
        return targets.mean_of(
            lambda labels: self.function(logits, labels, weight=self.weights, reduction="none")
        ).sum()

    def weight_of(self, targets: Targets) -> Tensor | None:
        """Return the sum of the batch's weights; None if each sample weighs 1."""
        weights = self.weights
        if weights is None:
            return None
        return targets.mean_of(lambda labels: weights.index_select(0, labels)).sum()


def class_logits(output: Tensor) -> Tensor:
    """Return a model's output as logits of all classes; one output (N, 1) is the logit of class 1 over 0."""
    return torch.cat([torch.zeros_like(output), output], 1) if output.shape[1] == 1 else output


def own_function(name: str, settings: Mapping[str, Any]) -> partial[Tensor]:
    """Return the user's callable, with its settings; raise LossError if there is none."""
    return partial(imported("loss", name, LossError), **settings)


def _cross_entropy(settings: CrossEntropy | Binary) -> LossFunction:
    return partial(functional.cross_entropy, label_smoothing=settings.label_smoothing)


def _own(settings: OwnLoss) -> LossFunction:
    function = own_function(settings.name, settings.arguments)

    def loss(logits: Tensor, labels: Tensor, *, weight: Tensor | None, reduction: str) -> Tensor:
        losses = function(logits, labels)
        losses = losses if weight is None else losses * weight.index_select(0, labels)
        return losses.sum() if reduction == "sum" else losses

    return loss


FUNCTIONS: dict[type[LossSettings], Callable[[Any], LossFunction]] = {
    CrossEntropy: _cross_entropy,
    Binary: _cross_entropy,  # over the logits of both classes
    OwnLoss: _own,
}
