"""LeNet-5 with its 60,000 trained parameters, and a linear output layer.

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-based learning applied to document recognition, 1998.
Layers C1 to F6 are connected and initialised as there. The paper's output units measure distances to fixed
pictures of characters; here they are linear, and give logits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_SIDE = 32
# Table I of the paper: the maps of S2 to which each map of C3 is connected.
_SOURCES = (
    *([first, (first + 1) % 6, (first + 2) % 6] for first in range(6)),
    *([first, (first + 1) % 6, (first + 2) % 6, (first + 3) % 6] for first in range(6)),
    *([0, 1, 3, 4], [1, 2, 4, 5], [0, 2, 3, 5]),
    [0, 1, 2, 3, 4, 5],
)


class Squash(nn.Module):
    """The paper's sigmoid, 1.7159 tanh(2x / 3)."""

    def forward(self, x: Tensor) -> Tensor:
        """Squash each element."""
        return 1.7159 * torch.tanh(x * (2 / 3))


class SubSampling(nn.Module):
    """Sums of 2 x 2 pixels, times a coefficient for each map, plus a bias."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(maps, 1, 1))
        self.bias = nn.Parameter(torch.empty(maps, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Halve the sides of (N, maps, S, S)."""
        return 4 * functional.avg_pool2d(x, 2) * self.weight + self.bias


class PartialConvolution(nn.Module):
    """A 5 x 5 convolution from 6 maps to 16, each connected to some of them."""

    targets: Tensor  # the maps that each weight connects, in C3 and in S2
    sources: Tensor

    def __init__(self) -> None:
        super().__init__()
        pairs = [(to, source) for to, sources in enumerate(_SOURCES) for source in sources]
        self.weight = nn.Parameter(torch.empty(len(pairs), 5, 5))
        self.bias = nn.Parameter(torch.empty(len(_SOURCES)))
        for name, places in zip(("targets", "sources"), zip(*pairs, strict=True), strict=True):
            self.register_buffer(name, torch.tensor(places), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, 6, S, S) to (N, 16, S - 4, S - 4)."""
        dense = self.weight.new_zeros(len(_SOURCES), 6, 5, 5)
        return functional.conv2d(x, dense.index_put((self.targets, self.sources), self.weight), self.bias)


def build(image_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """Build LeNet-5 for images up to 32 x 32; smaller ones get a frame of zeros."""
    if len(image_shape) != 3:
        raise ValueError(f"found {image_shape[0]} features, expected images")
    channels, rows, columns = image_shape
    if max(rows, columns) > _SIDE:
        raise ValueError(f"found images of {rows} x {columns}, expected {_SIDE} x {_SIDE} or less")
    below, right = _SIDE - rows, _SIDE - columns
    c1, s2, c3, s4 = nn.Conv2d(channels, 6, 5), SubSampling(6), PartialConvolution(), SubSampling(16)
    c5, f6 = nn.Conv2d(16, 120, 5), nn.Linear(120, 84)
    inputs = torch.tensor([25 * len(sources) for sources in _SOURCES])  # of a unit of each map of C3
    fan_ins: list[tuple[nn.Parameter, int | Tensor]] = [
        *((each, 25 * channels) for each in c1.parameters()),
        *((each, 4) for layer in (s2, s4) for each in layer.parameters()),
        (c3.weight, inputs[c3.targets].view(-1, 1, 1)),
        (c3.bias, inputs),
        *((each, 400) for each in c5.parameters()),
        *((each, 120) for each in f6.parameters()),
    ]
    with torch.no_grad():
        for parameter, fan_in in fan_ins:
            parameter.uniform_(-2.4, 2.4).div_(fan_in)
    frame = nn.ZeroPad2d((right // 2, right - right // 2, below // 2, below - below // 2))
    maps = [frame, c1, Squash(), s2, Squash(), c3, Squash(), s4, Squash(), c5, Squash()]
    return nn.Sequential(*maps, nn.Flatten(), f6, Squash(), nn.Linear(84, num_classes))
