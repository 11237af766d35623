"""The multi-layer perceptron of Fashion-MNIST's benchmark table, "MLP 256-128-100".

Its code is heitorrapela/fashion-mnist-mlp on GitHub, 2018. 247,766 parameters for 28 x 28 grey pixels and 10
classes, initialised as in Keras 2.1. There the output units are sigmoids, and Keras' cross-entropy divides
them by their sum; torch's, which takes logits, does the same with their logarithms.
"""

from __future__ import annotations

import math
from itertools import pairwise

from torch import nn


def build(image_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """Build three linear layers with tanh and dropout, then an output layer of log-sigmoids."""
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise([math.prod(image_shape), 256, 128, 100]):
        layers += [nn.Linear(inputs, outputs), nn.Tanh(), nn.Dropout(0.4)]
    model = nn.Sequential(*layers, nn.Linear(100, num_classes), nn.LogSigmoid())
    for layer in model:
        if isinstance(layer, nn.Linear):
            std = math.sqrt(2 / layer.in_features)
            nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
            nn.init.zeros_(layer.bias)
    return model
