"""Models for the tests of faults: they wait, take their time, or run out of memory in training."""

from __future__ import annotations

import gc
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from harness import model_registry
from harness.training import prepared_trial
from harness.training.engine import Eager, Engine, Graph
from harness.training.graph_capture import Work

Shape = tuple[int, int, int]
Counts = WeakKeyDictionary[nn.Module, int]

REACHED, OPEN, SLOW = Path("gate-reached"), Path("gate-open"), Path("slow")
GATE_STEP = 20  # of batches of 600 out of 8,000: in the second epoch

_GIB = 2**30


def counted(net: nn.Module, more: int = 0, *, _counts: Counts = WeakKeyDictionary()) -> int:  # noqa: B006
    """Count steps of a net of a test in this process; the model check, which refuses that, looks not here."""
    _counts[net] = _counts.get(net, 0) + more
    return _counts[net]


class _Net(nn.Module):
    """A linear net that counts its training steps, in a rank only: probes are none."""

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(shape[1] * shape[2], classes)

    @property
    def steps(self) -> int:
        """Return how many steps it has taken in this process."""
        return counted(self)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and "TORCHELASTIC_RUN_ID" in os.environ:
            counted(self, 1)
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
        self.model = model_registry.build(settings, shape, classes)

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


class _Crowded(_Net):
    """Finds room for two of its kind in training at once."""

    def forward(self, x: Tensor) -> Tensor:
        out = super().forward(x)
        others = [each for each in gc.get_objects() if type(each) is _Crowded and each.steps]
        if self.steps == 1 and len(others) > 2:
            raise torch.OutOfMemoryError("a made-up lack of memory")
        return out


class _BreakingRecorder:
    """Stands for CUDA graphs, of which the last rank can record none."""

    def rehearse(self, work: Work) -> tuple[Tensor, str | None]:
        return work(), None

    def record(self, work: Work) -> tuple[Callable[[], None], Tensor]:
        if int(os.environ["RANK"]) == int(os.environ["WORLD_SIZE"]) - 1:
            raise RuntimeError("a made-up break")
        return lambda: None, torch.zeros(())


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


def crowded(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build a net that lacks memory where more than two are trained at once."""
    return _Crowded(image_shape, num_classes)


def unrecordable(image_shape: Shape, num_classes: int) -> nn.Module:
    """Build a shipped model whose captures break; note in which process of a rank it is trained."""
    if "RANK" in os.environ:
        setattr(prepared_trial, "engine_for", _engine_or_breaking)  # noqa: B010
    return model_registry.build({"name": "mlp", "hidden": [16], "dropout": 0.2}, image_shape, num_classes)


def _engine_or_breaking(step: Any, requested: Any, tell: Any, **unused: Any) -> Engine:
    with Path("processes").open("a", encoding="utf-8") as file:
        file.write(f"{requested} {os.environ.get('HARNESS_GENERATION', '0')}\n")
    return Eager(step) if requested == "eager" else Graph(step, _BreakingRecorder(), tell)
