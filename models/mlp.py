"""A multi-layer perceptron with batch norm and dropout."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import nn

SETTINGS = {
    "hidden": {
        "type": "array",
        "items": {"type": "integer", "minimum": 1},
        "minItems": 1,
        "description": "Width of each hidden layer, in order.",
    },
    "dropout": {
        "type": "number",
        "minimum": 0,
        "exclusiveMaximum": 1,
        "description": "Dropout probability after each hidden layer.",
    },
}


def build(image_shape: tuple[int, ...], num_classes: int, *, hidden: list[int], dropout: float) -> nn.Module:
    """Build linear layers of the `hidden` sizes with batch norm, ReLU and dropout, then an output layer."""
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise([math.prod(image_shape), *hidden]):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(hidden[-1], num_classes))
