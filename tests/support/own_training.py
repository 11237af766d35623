"""An optimizer, a schedule and a model as a user may bring them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn


def sgd(parameters: Iterable[nn.Parameter], lr: float, momentum: float) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=lr, momentum=momentum, nesterov=True)


def falling(done: float, power: float) -> float:
    return float((1 - done) ** power)


def negative(done: float) -> float:
    return done - 0.5


def matrices(image_shape: tuple[int, ...], num_classes: int, **_: Any) -> nn.Module:
    channels, rows, columns = image_shape
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(channels * rows * columns, 12, bias=False),
        nn.ReLU(),
        nn.Linear(12, num_classes, bias=False),
    )
