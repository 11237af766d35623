"""Models that wait, go wrong, or are large on a GPU only; and one that tells what its process has loaded."""

from __future__ import annotations

import atexit
import os
import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

Shape = tuple[int, int, int]

LOADED = "HARNESS_CHECK_LOADED"  # names the file that `telling` tells in


class _Odd(nn.Module):
    """A linear classifier that does something odd."""

    def __init__(self, image_shape: Shape, num_classes: int, how: str) -> None:
        super().__init__()
        self.linear = nn.Linear(image_shape[1] * image_shape[2], num_classes)
        self.how, self.passes = how, 0
        self.held: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(x.flatten(1))
        if self.how == "random":
            return functional.dropout(out, 0.1, self.training)
        if self.how == "item":
            return out * 2 if float(self.linear.bias.detach().sum()) > 1e30 else out
        return self._on_gpu(out) if x.is_cuda else out

    def _on_gpu(self, out: Tensor) -> Tensor:
        self.passes += 1
        if self.how == "synchronize":  # not seen before the capture, which breaks
            torch.cuda.synchronize()
        if self.how == "hungry":
            out = out + torch.empty(300 * 2**30, dtype=torch.uint8, device=out.device)[0]
        if self.how == "poisons" and self.passes == 5:  # an index out of bounds: the process loses its GPU
            out = out.index_select(1, torch.full((out.shape[1],), 10**6, device=out.device))
        if self.how == "large" and not self.held:
            free = torch.cuda.get_device_properties(out.device).total_memory * 6 // 10
            self.held.append(torch.zeros(free, dtype=torch.uint8, device=out.device))
        return out


def waiting(image_shape: Shape, num_classes: int, *, how: str) -> nn.Module:
    """Build what waits for the device (`item`, `synchronize`), or draws random numbers there (`random`)."""
    return _Odd(image_shape, num_classes, how)


def hungry(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build what asks for more memory than any card has."""
    return _Odd(image_shape, num_classes, "hungry")


def poisons(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build what leaves the GPU unusable for its process, in its fifth step."""
    return _Odd(image_shape, num_classes, "poisons")


def large(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build what holds six tenths of a card: one fits, two do not."""
    return _Odd(image_shape, num_classes, "large")


def telling(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build a plain network whose process tells at its end whether it has loaded torch's compiler."""

    def tell() -> None:
        if path := os.environ.get(LOADED):
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(f"{'torch._dynamo' in sys.modules}\n")

    atexit.register(tell)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(image_shape[1] * image_shape[2], 64),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(64, num_classes),
    )
