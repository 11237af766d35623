"""Models for the tests of faults: they wait, take their time, or run out of memory in training."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness import model as models

Shape = tuple[int, int, int]

REACHED, OPEN, SLOW = Path("gate-reached"), Path("gate-open"), Path("slow")
GATE_STEP = 20  # of batches of 600 out of 8,000: in the second epoch

_GIB = 2**30


class _Net(nn.Module):
    """A linear net that counts its training steps, in a rank only: probes are none."""

    steps = 0

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(shape[1] * shape[2], classes)

    def forward(self, x: Tensor) -> Tensor:
        self.steps += self.training and "TORCHELASTIC_RUN_ID" in os.environ
        out: Tensor = self.linear(x.flatten(1))
        return out


class _Gated(_Net):
    def forward(self, x: Tensor) -> Tensor:
        out = super().forward(x)
        if self.steps == GATE_STEP and not OPEN.exists():
            REACHED.touch()
            deadline = time.monotonic() + 240
            while not OPEN.exists():
                assert time.monotonic() < deadline, "nobody opened the gate"
                time.sleep(0.05)
        return out


class _Slow(_Net):
    def forward(self, x: Tensor) -> Tensor:
        if self.training and SLOW.exists():
            time.sleep(0.02)
        return super().forward(x)


class _SlowShipped(nn.Module):
    """A shipped model, with its batch norm and dropout, that takes its time but computes little."""

    def __init__(self, shape: Shape, classes: int, **settings: Any) -> None:
        super().__init__()
        self.model = models.build(settings, shape, classes)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and SLOW.exists():
            time.sleep(0.05)
        out: Tensor = self.model(x)
        return out


class _Full(_Net):
    def forward(self, x: Tensor) -> Tensor:
        if self.steps == GATE_STEP:
            raise torch.OutOfMemoryError("a made-up lack of memory")
        return super().forward(x)


class _Limited(_Net):
    def forward(self, x: Tensor) -> Tensor:
        if self.steps == GATE_STEP:
            pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
            _, hard = resource.getrlimit(resource.RLIMIT_AS)
            resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 4 * _GIB, hard))
            bytearray(1024 * _GIB)
        return super().forward(x)


def gated(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build a net that waits in its second epoch until it may go on."""
    return _Gated(image_shape, num_classes)


def slow(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build a net that takes its time as long as it is to."""
    return _Slow(image_shape, num_classes)


def slow_mixer(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build a mixer that takes its time as long as it is to."""
    return _SlowShipped(image_shape, num_classes, name="patch_mixer", patch_size=4, width=12, hidden=[8])


def slow_mlp(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build a perceptron that takes its time as long as it is to."""
    return _SlowShipped(image_shape, num_classes, name="mlp", hidden=[16], dropout=0.2)


def out_of_memory(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build a net for which its device's memory does not suffice."""
    return _Full(image_shape, num_classes)


def limited_memory(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build a net that asks for more than its process may have, which stays limited."""
    return _Limited(image_shape, num_classes)
