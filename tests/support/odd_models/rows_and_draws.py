"""Models whose results would depend on how a batch is cut, or that draw numbers: refused."""

from __future__ import annotations

import os
import random

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.support.odd_models.zoo import Shape, Two, net_of, refused


class _EarlierRows(Two):
    def between(self, x: Tensor) -> Tensor:
        return x + 0.1 * (x.cumsum(0) - x)


@refused("the forward of _EarlierRows itself depends on the other images of the batch")
def earlier_rows(shape: Shape, classes: int) -> nn.Module:
    """Build a net in which a row sees those before it."""
    return _EarlierRows(shape, classes)


class _Centred(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0, keepdim=True).detach()


@refused(r"layer '2' \(_Centred\) depends on the other images")
def centred(shape: Shape, classes: int) -> nn.Module:
    """Build a net with a layer that subtracts the batch's mean."""
    return net_of(shape, classes, _Centred())


class _ByPlace(Two):
    def between(self, x: Tensor) -> Tensor:
        return x * (1 + 0.01 * torch.arange(len(x), dtype=x.dtype)[:, None])


refused("_ByPlace itself depends on the other images")(_ByPlace)


class _InputNorm(nn.Module):
    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            with torch.no_grad():
                self.mean.lerp_(x.mean().view(1).to(self.mean.dtype), 0.5)
            return x - 0.2
        return x - self.mean


@refused("buffer '0.mean' depends on the other images")
def own_running_statistics(shape: Shape, classes: int) -> nn.Module:
    """Build a net with running statistics of its own."""
    return nn.Sequential(_InputNorm(), net_of(shape, classes))


class _PythonsRandom(Two):
    def between(self, x: Tensor) -> Tensor:
        return x if random.random() < 0.01 else 0.5 * x


refused(r"_PythonsRandom itself draws random numbers of its own \(Python's `random`\)")(_PythonsRandom)


class _NumPysRandom(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * (1 + 0.1 * float(np.random.rand()))


@refused(r"layer '2' \(_NumPysRandom\) draws random numbers of its own \(NumPy's\)")
def numpy_noise(shape: Shape, classes: int) -> nn.Module:
    """Build a net with NumPy's noise."""
    return net_of(shape, classes, _NumPysRandom())


class _OnlyInEval(Two):
    def between(self, x: Tensor) -> Tensor:
        return x if self.training else x + torch.rand_like(x)


refused(r"_OnlyInEval itself draws random numbers of its own \(torch's\)")(_OnlyInEval)


class _Recurrent(nn.Module):
    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.cells = nn.LSTM(shape[2], 8, 2, dropout=0.3, batch_first=True)
        self.last = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.cells(x[:, 0])[0][:, -1])
        return out


refused(r"layer 'cells' \(LSTM\) draws random numbers")(_Recurrent)


class _Unrepeatable(Two):
    def between(self, x: Tensor) -> Tensor:
        return x + os.urandom(1)[0] / 100


refused("two passes over the same images differ")(_Unrepeatable)


@refused("two builds from one seed begin with other weights")
def unseeded_weights(shape: Shape, classes: int) -> nn.Module:
    """Build a net whose weights follow no seed."""
    net = Two(shape, classes)
    net.last.bias.data.fill_(os.urandom(1)[0])
    return net


class _DropsWeights(nn.Module):
    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.last = nn.Linear(shape[0] * shape[1] * shape[2], classes)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x.flatten(1), functional.dropout(self.last.weight.t(), 0.3).t())


refused("dropout|depends on the other images")(_DropsWeights)


class _TimeFirst(nn.Module):
    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.drop, self.last = nn.Dropout(0.3), nn.Linear(shape[2], classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.drop(x[:, 0].transpose(0, 1)).mean(0))
        return out


refused("dropout 'drop'|depends on the other images")(_TimeFirst)


class _BatchAsChannels(Two):
    def between(self, x: Tensor) -> Tensor:
        return functional.batch_norm(x.t(), None, None, training=True).t()


refused("fails on a part of a batch: .*the ranks do not run the same operations")(_BatchAsChannels)


class _TakesAnotherWay(Two):
    def between(self, x: Tensor) -> Tensor:
        return functional.batch_norm(x, None, None, training=True) if len(x) > 1 else x


refused("fails on a part of a batch: .*the ranks do not run the same operations")(_TakesAnotherWay)
