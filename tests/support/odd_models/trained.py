"""Dropouts, parametrizations, weights and states of every kind that are trained as they are."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from tests.support.odd_models.zoo import Shape, Two, convolution, trained


class _FunctionalDropouts(Two):
    def between(self, x: Tensor) -> Tensor:
        x = functional.dropout(x, 0.2, self.training)
        return functional.alpha_dropout(functional.dropout(x, 0.2, self.training), 0.1, self.training)


trained(_FunctionalDropouts)


class _MonteCarlo(Two):
    def between(self, x: Tensor) -> Tensor:
        return functional.dropout(x, 0.3)


trained(_MonteCarlo)


@trained
def channel_dropout(shape: Shape, classes: int) -> nn.Module:
    """Build a net that drops whole channels."""
    return convolution(shape, classes, nn.Dropout2d(0.3))


class _Encoder(nn.Module):
    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.rows = nn.Linear(shape[2], 8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, batch_first=True)
        self.last = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.encoder(self.rows(x[:, 0])).mean(1))
        return out


trained(_Encoder)


class _Recomputed(Two):
    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__(shape, classes)
        self.block = nn.Sequential(nn.Linear(16, 16), nn.Dropout(0.3), nn.ReLU(), nn.Dropout(0.1))

    def between(self, x: Tensor) -> Tensor:
        out: Tensor = checkpoint(self.block, x, use_reentrant=False)
        return out


trained(_Recomputed)


@trained
def spectral(shape: Shape, classes: int) -> nn.Module:
    """Build a net whose power iteration goes on with every forward."""
    first = nn.utils.parametrizations.spectral_norm(nn.Linear(shape[0] * shape[1] * shape[2], 16))
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), nn.Linear(16, classes))


@trained
def weight_normed(shape: Shape, classes: int) -> nn.Module:
    """Build a net whose weights are parametrized."""
    first = nn.utils.parametrizations.weight_norm(nn.Linear(shape[0] * shape[1] * shape[2], 16))
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), nn.Linear(16, classes))


class _Tied(Two):
    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__(shape, classes)
        self.one, self.other = nn.Linear(16, 16), nn.Linear(16, 16)
        self.other.weight = self.one.weight

    def between(self, x: Tensor) -> Tensor:
        out: Tensor = self.other(functional.relu(self.one(x)))
        return out


trained(_Tied)


@trained
def frozen_and_unused(shape: Shape, classes: int) -> nn.Module:
    """Build a net with a frozen layer and a parameter that is never used."""
    net = Two(shape, classes)
    net.first.requires_grad_(False)
    net.spare = nn.Parameter(torch.zeros(3))
    return net


@trained
def numpy_weights(shape: Shape, classes: int) -> nn.Module:
    """Build a net whose weights NumPy and Python draw."""
    net = Two(shape, classes)
    with torch.no_grad():
        net.first.weight.copy_(torch.from_numpy(np.random.randn(*net.first.weight.shape) * 0.1))
        net.last.bias.fill_(random.random())
    return net


class _Sparse(nn.Module):
    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(256, 8, sparse=True, mode="mean")
        self.last = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.embedding((x.flatten(1) * 255).long()))
        return out


trained(_Sparse)


class _Complex(nn.Module):
    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(
            torch.randn(shape[0] * shape[1] * shape[2], classes, dtype=torch.cfloat) * 0.1
        )

    def forward(self, x: Tensor) -> Tensor:
        assert self.weight.is_complex()
        return (x.flatten(1).to(self.weight.dtype) @ self.weight).abs()


trained(_Complex)


class _ByView(Two):
    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.first(x.view(x.size(0), -1)))
        return out


trained(_ByView)


class ExtraState(Two):
    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__(shape, classes)
        self.steps = 0

    def between(self, x: Tensor) -> Tensor:
        self.steps += self.training
        return x if self.steps < 8 else 0.5 * x

    def get_extra_state(self) -> dict[str, int]:
        return {"steps": self.steps}

    def set_extra_state(self, state: dict[str, int]) -> None:
        self.steps = state["steps"]


trained(ExtraState)


class _StepBuffer(Two):
    steps: Tensor

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__(shape, classes)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def between(self, x: Tensor) -> Tensor:
        self.steps += int(self.training)
        return x / (1 + self.steps // 8)


trained(_StepBuffer)


class _LastAttention(Two):
    """A net that keeps, to be looked at, what it computed last, and a constant that it computed first."""

    kept: Tensor | None = None
    scale: Tensor | None = None

    def between(self, x: Tensor) -> Tensor:
        if self.scale is None:
            self.scale = torch.ones(16, dtype=x.dtype)
        self.kept = x.detach()
        return x * self.scale


trained(_LastAttention)
