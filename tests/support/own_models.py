"""Models as a user would write them, good and bad ones."""

from __future__ import annotations

import os
import signal

import torch
from torch import Tensor, nn

from tests.support.fault_models import counted

Shape = tuple[int, int, int]


class _Net(nn.Module):
    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(shape[1] * shape[2], classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(x.flatten(1))
        return out


class _WithUnused(_Net):
    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__(shape, classes)
        self.norm = nn.BatchNorm1d(classes)
        self.spare = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(super().forward(x))
        return out


def with_unused_parameters(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build a net with a layer that its forward never uses."""
    return _WithUnused(image_shape, num_classes)


def plain(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build a linear net."""
    return _Net(image_shape, num_classes)


class _Noise(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand_like(x)


def noisy_layer(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build a net with a layer of noise."""
    return nn.Sequential(_Noise(), _Net(image_shape, num_classes))


def raises(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build a net whose forward fails in its eighth call in train mode."""
    return _Raises(image_shape, num_classes, os.environ.get("RANK", ""))


def raises_on_rank_one(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build a net that does so in rank 1 only."""
    return _Raises(image_shape, num_classes, "1")


class _Raises(_Net):
    error: type[BaseException] = ArithmeticError

    def __init__(self, shape: Shape, classes: int, rank: str) -> None:
        super().__init__(shape, classes)
        self.rank = rank

    def forward(self, x: Tensor) -> Tensor:
        if counted(self, int(self.training)) == 8 and os.environ.get("RANK") == self.rank:
            raise self.error(f"a made-up failure in rank {self.rank}")
        return super().forward(x)


def wanders(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build a net that does so, too, and leaves the working directory wherever it is called."""
    os.chdir("/")
    return _Wanders(image_shape, num_classes, "1")


class _Wanders(_Raises):
    def forward(self, x: Tensor) -> Tensor:
        os.chdir("/")
        return super().forward(x)


class _Exits(_Raises):
    error = SystemExit


def exits(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build a net that calls sys.exit() while it is trained."""
    return _Exits(image_shape, num_classes, os.environ.get("RANK", ""))


def exits_on_rank_one(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build a net that does so in rank 1 only."""
    return _Exits(image_shape, num_classes, "1")


class _OddError(BaseException):
    """What `except Exception` does not catch."""


class _BreaksBackward(_Net):
    def forward(self, x: Tensor) -> Tensor:
        out = super().forward(x)
        if out.requires_grad and "TORCHELASTIC_RUN_ID" in os.environ:
            out.register_hook(self._end)  # type: ignore[no-untyped-call]
        return out

    def _end(self, _: Tensor) -> None:
        raise _OddError("a made-up end")


def breaks_backward(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build a net whose backward raises no common error while it is trained."""
    return _BreaksBackward(image_shape, num_classes)


def not_built(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build a net, but not in a run's ranks."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        raise OSError("no such weights")
    return _Net(image_shape, num_classes)


class _Kills(_Net):
    def forward(self, x: Tensor) -> Tensor:
        if "TORCHELASTIC_RUN_ID" in os.environ:  # as the kernel does when memory is short
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)


def kills(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build a net whose process is killed when it is trained."""
    return _Kills(image_shape, num_classes)


def compiled(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build a linear net that compiles itself."""
    net = _Net(image_shape, num_classes)
    net.compile(backend="eager")
    return net
