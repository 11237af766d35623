"""Norms of every kind that are trained as they are."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from tests.support.odd_models.zoo import Shape, Two, convolution, net_of, trained


class _ScaledNorm(nn.BatchNorm1d):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x) + 1


@trained
def scaled_norm(shape: Shape, classes: int) -> nn.Module:
    """Build a net with a norm of the user's own class."""
    return net_of(shape, classes, _ScaledNorm(16), nn.ReLU())


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
    return net_of(shape, classes, _NormActivation(16))


class _Frozen(Two):
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
    return net_of(shape, classes, nn.BatchNorm1d(16, momentum=None), nn.ReLU())


@trained
def untracked_norm(shape: Shape, classes: int) -> nn.Module:
    """Build a net whose norm has no running statistics, not even when it is evaluated."""
    return net_of(shape, classes, nn.BatchNorm1d(16, track_running_stats=False), nn.ReLU())


@trained
def sync_norm(shape: Shape, classes: int) -> nn.Module:
    """Build a net whose norms were converted for several GPUs."""
    net = net_of(shape, classes, nn.BatchNorm1d(16), nn.ReLU())
    return cast(nn.Module, nn.SyncBatchNorm.convert_sync_batchnorm(net))  # type: ignore[no-untyped-call]


@trained
def tracked_instances(shape: Shape, classes: int) -> nn.Module:
    """Build a net with an instance norm that follows running statistics."""
    return convolution(shape, classes, nn.InstanceNorm2d(4, affine=True, track_running_stats=True))


@trained
def hooked(shape: Shape, classes: int) -> nn.Module:
    """Build a net whose norm has a hook that changes what it returns."""
    norm = nn.BatchNorm1d(16)
    norm.register_forward_hook(lambda _, __, out: out * 1.5)
    return net_of(shape, classes, norm, nn.ReLU())


@trained
def inplace_dropout(shape: Shape, classes: int) -> nn.Module:
    """Build a net that drops in place."""
    return net_of(shape, classes, nn.Tanhshrink(), nn.Dropout(0.3, inplace=True))
