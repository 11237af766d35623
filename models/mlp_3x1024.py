"""The multi-layer perceptron of three layers of 1024 units.

A. Nøkland, L. H. Eidnes: Training neural networks with local error signals, 2019: "mlp" in its tables for
MNIST, Fashion-MNIST and Kuzushiji-MNIST, where it has 2.9 M parameters. 2,913,290 weights and biases for
28 x 28 grey pixels and 10 classes, beside the scales and shifts of its batch norms.
"""

from __future__ import annotations

import math

from torch import nn

SETTINGS = {
    "dropout": {
        "type": "number",
        "minimum": 0,
        "exclusiveMaximum": 1,
        "description": "Dropout probability after each hidden layer; the authors took 0.1 for MNIST, 0.025 "
        "for Fashion-MNIST and 0.2 for KMNIST.",
    },
}


def build(image_shape: tuple[int, ...], num_classes: int, *, dropout: float) -> nn.Module:
    """Build linear layers with batch norm, ReLU and dropout, then an output layer."""
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs in (math.prod(image_shape), 1024, 1024):
        layers += [nn.Linear(inputs, 1024), nn.BatchNorm1d(1024), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(1024, num_classes))
