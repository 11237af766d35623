"""Models as users write them: `TRAINED` as the plain modules that they are, or `REFUSED` with a reason."""

from __future__ import annotations

from torch import nn

from tests.support.odd_models import hidden_state, norms, rows_and_draws, trained
from tests.support.odd_models.zoo import REFUSED, TRAINED, Shape

__all__ = ["REFUSED", "TRAINED", "build", "hidden_state", "norms", "rows_and_draws", "trained"]


def build(image_shape: Shape, num_classes: int, kind: str) -> nn.Module:
    """Build the model that is registered under a name."""
    builder = TRAINED[kind] if kind in TRAINED else REFUSED[kind][0]
    return builder(image_shape, num_classes)
