"""Losses as a user would write them, good and bad ones."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def focal(logits: Tensor, labels: Tensor, gamma: float) -> Tensor:
    """Return the focal loss of each sample."""
    losses = functional.cross_entropy(logits, labels, reduction="none")
    return (1 - (-losses).exp()) ** gamma * losses


def mean(logits: Tensor, labels: Tensor) -> Tensor:
    """Return one number, the mean."""
    return functional.cross_entropy(logits, labels)


def centred(logits: Tensor, labels: Tensor) -> Tensor:
    """Return losses relative to the batch's."""
    losses = functional.cross_entropy(logits, labels, reduction="none")
    return losses / losses.sum()


def noisy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return losses of noisy logits."""
    return functional.cross_entropy(logits + torch.randn_like(logits), labels, reduction="none")


def without_gradient(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the errors, which have no gradient."""
    return (logits.argmax(1) != labels).double()


def raises(logits: Tensor, labels: Tensor) -> Tensor:
    """Fail on any labels."""
    raise IndexError(f"no class {int(labels[0])}")
