"""Registries of odd models, and what many of them are made of."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

Shape = tuple[int, int, int]
Build = Callable[[Shape, int], nn.Module]

TRAINED: dict[str, Build] = {}
REFUSED: dict[str, tuple[Build, str]] = {}


def trained(build: Build) -> Build:
    """Register a model that is trained."""
    TRAINED[build.__name__] = build
    return build


def refused(reason: str) -> Callable[[Build], Build]:
    """Register a model that is refused, with a pattern of the reason."""

    def register(build: Build) -> Build:
        REFUSED[build.__name__] = build, reason
        return build

    return register


def net_of(shape: Shape, classes: int, *layers: nn.Module, width: int = 16) -> nn.Module:
    pixels = shape[0] * shape[1] * shape[2]
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, width), *layers, nn.Linear(width, classes))


def convolution(shape: Shape, classes: int, layer: nn.Module) -> nn.Module:
    pooled = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    return nn.Sequential(nn.Conv2d(shape[0], 4, 3), layer, pooled, nn.Linear(16, classes))


class Two(nn.Module):
    """Two linear layers, with `between` on what is between them."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(shape[0] * shape[1] * shape[2], 16)
        self.last = nn.Linear(16, classes)

    def between(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.between(functional.relu(self.first(x.flatten(1)))))
        return out
