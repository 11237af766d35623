"""Models as users write them: `TRAINED` as the plain modules that they are, or `REFUSED` with a reason."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

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


def _net(shape: Shape, classes: int, *layers: nn.Module, width: int = 16) -> nn.Module:
    pixels = shape[0] * shape[1] * shape[2]
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, width), *layers, nn.Linear(width, classes))


def _convolution(shape: Shape, classes: int, layer: nn.Module) -> nn.Module:
    pooled = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    return nn.Sequential(nn.Conv2d(shape[0], 4, 3), layer, pooled, nn.Linear(16, classes))


class _Two(nn.Module):
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


class _ScaledNorm(nn.BatchNorm1d):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x) + 1


@trained
def scaled_norm(shape: Shape, classes: int) -> nn.Module:
    """Build a net with a norm of the user's own class."""
    return _net(shape, classes, _ScaledNorm(16), nn.ReLU())


class _NormActivation(nn.BatchNorm1d):
    def forward(self, x: Tensor) -> Tensor:
        self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
        training = self.training
        normed = functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, training, 0.1, self.eps
        )
        return functional.relu(normed)


@trained
def norm_with_activation(shape: Shape, classes: int) -> nn.Module:
    """Build a net with a norm that calls torch's function itself."""
    return _net(shape, classes, _NormActivation(16))


class _Frozen(_Two):
    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__(shape, classes)
        self.norm = nn.BatchNorm1d(16)

    def train(self, mode: bool = True) -> _Frozen:
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.eval()
        return self

    def between(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(x)
        return out


trained(_Frozen)


@trained
def cumulative_norm(shape: Shape, classes: int) -> nn.Module:
    """Build a net whose norm averages over all batches."""
    return _net(shape, classes, nn.BatchNorm1d(16, momentum=None), nn.ReLU())


@trained
def untracked_norm(shape: Shape, classes: int) -> nn.Module:
    """Build a net whose norm has no running statistics, not even when it is evaluated."""
    return _net(shape, classes, nn.BatchNorm1d(16, track_running_stats=False), nn.ReLU())


@trained
def sync_norm(shape: Shape, classes: int) -> nn.Module:
    """Build a net whose norms were converted for several GPUs."""
    net = _net(shape, classes, nn.BatchNorm1d(16), nn.ReLU())
    return cast(nn.Module, nn.SyncBatchNorm.convert_sync_batchnorm(net))  # type: ignore[no-untyped-call]


@trained
def tracked_instances(shape: Shape, classes: int) -> nn.Module:
    """Build a net with an instance norm that follows running statistics."""
    return _convolution(shape, classes, nn.InstanceNorm2d(4, affine=True, track_running_stats=True))


@trained
def hooked(shape: Shape, classes: int) -> nn.Module:
    """Build a net whose norm has a hook that changes what it returns."""
    norm = nn.BatchNorm1d(16)
    norm.register_forward_hook(lambda _, __, out: out * 1.5)
    return _net(shape, classes, norm, nn.ReLU())


@trained
def inplace_dropout(shape: Shape, classes: int) -> nn.Module:
    """Build a net that drops in place."""
    return _net(shape, classes, nn.Tanhshrink(), nn.Dropout(0.3, inplace=True))


class _FunctionalDropouts(_Two):
    def between(self, x: Tensor) -> Tensor:
        x = functional.dropout(x, 0.2, self.training)
        return functional.alpha_dropout(functional.dropout(x, 0.2, self.training), 0.1, self.training)


trained(_FunctionalDropouts)


class _MonteCarlo(_Two):
    def between(self, x: Tensor) -> Tensor:
        return functional.dropout(x, 0.3)


trained(_MonteCarlo)


@trained
def channel_dropout(shape: Shape, classes: int) -> nn.Module:
    """Build a net that drops whole channels."""
    return _convolution(shape, classes, nn.Dropout2d(0.3))


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


class _Recomputed(_Two):
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


class _Tied(_Two):
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
    net = _Two(shape, classes)
    net.first.requires_grad_(False)
    net.spare = nn.Parameter(torch.zeros(3))
    return net


@trained
def numpy_weights(shape: Shape, classes: int) -> nn.Module:
    """Build a net whose weights NumPy and Python draw."""
    net = _Two(shape, classes)
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


class _ByView(_Two):
    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.first(x.view(x.size(0), -1)))
        return out


trained(_ByView)


class _ExtraState(_Two):
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


trained(_ExtraState)


class _StepBuffer(_Two):
    steps: Tensor

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__(shape, classes)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def between(self, x: Tensor) -> Tensor:
        self.steps += int(self.training)
        return x / (1 + self.steps // 8)


trained(_StepBuffer)


class _LastAttention(_Two):
    """A net that keeps, to be looked at, what it computed last, and a constant that it computed first."""

    kept: Tensor | None = None
    scale: Tensor | None = None

    def between(self, x: Tensor) -> Tensor:
        if self.scale is None:
            self.scale = torch.ones(16, dtype=x.dtype)
        self.kept = x.detach()
        return x * self.scale


trained(_LastAttention)


class _EarlierRows(_Two):
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
    return _net(shape, classes, _Centred())


class _ByPlace(_Two):
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
    return nn.Sequential(_InputNorm(), _net(shape, classes))


class _PythonsRandom(_Two):
    def between(self, x: Tensor) -> Tensor:
        return x if random.random() < 0.01 else 0.5 * x


refused(r"_PythonsRandom itself draws random numbers of its own \(Python's `random`\)")(_PythonsRandom)


class _NumPysRandom(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * (1 + 0.1 * float(np.random.rand()))


@refused(r"layer '2' \(_NumPysRandom\) draws random numbers of its own \(NumPy's\)")
def numpy_noise(shape: Shape, classes: int) -> nn.Module:
    """Build a net with NumPy's noise."""
    return _net(shape, classes, _NumPysRandom())


class _OnlyInEval(_Two):
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


class _Counts(_Two):
    calls = 0

    def between(self, x: Tensor) -> Tensor:
        self.calls += self.training
        return x if self.calls <= 20 else 0.5 * x


@refused("keeps state that no checkpoint holds: calls")
def step_counter(shape: Shape, classes: int) -> nn.Module:
    """Build a net that counts its steps in an attribute."""
    return _Counts(shape, classes)


class _CountsOften(_Two):
    def __init__(self, shape: Shape, classes: int, count: Any) -> None:
        super().__init__(shape, classes)
        self.count = count

    def between(self, x: Tensor) -> Tensor:
        if isinstance(self.count, dict):
            self.count["steps"] = self.count.get("steps", 0) + 1
        elif isinstance(self.count, list):
            self.count.append(0)
        elif isinstance(self.count, Tensor):
            self.count.add_(1)
        elif isinstance(self.count, torch.Generator):
            return x + torch.rand(1, generator=self.count, dtype=x.dtype)
        elif isinstance(self.count, np.random.Generator):
            return x + float(self.count.random())
        else:
            next(self.count)
        return x


_COUNTS: dict[str, Callable[[], Any]] = {
    "dictionary": dict,
    "list": list,
    "tensor": lambda: torch.zeros(()),
    "iterator": lambda: itertools.count(3),
    "generator_of_torch": torch.Generator,
    "generator_of_numpy": lambda: np.random.default_rng(0),
}


def _counting_in(count: Callable[[], Any]) -> Build:
    return lambda shape, classes: _CountsOften(shape, classes, count())


for _kind, _count in _COUNTS.items():
    REFUSED[f"counts_in_a_{_kind}"] = _counting_in(_count), "keeps state that no checkpoint holds: count"


class _CountsInItsClass(_Two):
    steps = 0

    def between(self, x: Tensor) -> Tensor:
        type(self).steps += 1
        return x


refused("keeps state that no checkpoint holds: _CountsInItsClass.steps")(_CountsInItsClass)

_STEPS: list[int] = []


class _CountsInAVariable(_Two):
    def between(self, x: Tensor) -> Tensor:
        _STEPS.append(0)
        return x


refused("keeps state that no checkpoint holds: tests.support.odd_models._STEPS")(_CountsInAVariable)


class _NotKept(_Two):
    average: Tensor

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__(shape, classes)
        self.register_buffer("average", torch.zeros(()), persistent=False)

    def between(self, x: Tensor) -> Tensor:
        if self.training:
            self.average.mul_(0.9).add_(1)
        return x + self.average


refused("keeps state that no checkpoint holds: average")(_NotKept)


class _ScaledByItsFirstBatch(_Two):
    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__(shape, classes)
        self.is_ready = False
        self.scale = nn.Parameter(torch.ones(16))

    def between(self, x: Tensor) -> Tensor:
        if not self.is_ready:
            self.scale.data = 1 / (x.detach().std(0) + 1)
            self.is_ready = True
        return x * self.scale


refused("keeps state that no checkpoint holds: is_ready")(_ScaledByItsFirstBatch)


class _UnkeepableState(_ExtraState):
    def get_extra_state(self) -> Any:
        return {"steps": self}


refused("its state cannot be kept in a checkpoint")(_UnkeepableState)


class _Unrepeatable(_Two):
    def between(self, x: Tensor) -> Tensor:
        return x + os.urandom(1)[0] / 100


refused("two passes over the same images differ")(_Unrepeatable)


@refused("two builds from one seed begin with other weights")
def unseeded_weights(shape: Shape, classes: int) -> nn.Module:
    """Build a net whose weights follow no seed."""
    net = _Two(shape, classes)
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


class _BatchAsChannels(_Two):
    def between(self, x: Tensor) -> Tensor:
        return functional.batch_norm(x.t(), None, None, training=True).t()


refused("fails on a part of a batch: .*the ranks do not take the same way")(_BatchAsChannels)


class _TakesAnotherWay(_Two):
    def between(self, x: Tensor) -> Tensor:
        return functional.batch_norm(x, None, None, training=True) if len(x) > 1 else x


refused("fails on a part of a batch: .*the ranks do not take the same way")(_TakesAnotherWay)


def build(image_shape: Shape, num_classes: int, kind: str) -> nn.Module:
    """Build the model that is registered under a name."""
    builder = TRAINED[kind] if kind in TRAINED else REFUSED[kind][0]
    return builder(image_shape, num_classes)
