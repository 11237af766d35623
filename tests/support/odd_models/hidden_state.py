"""Models with state that no checkpoint holds: refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.support.odd_models.trained import ExtraState
from tests.support.odd_models.zoo import REFUSED, Build, Shape, Two, refused


class _Counts(Two):
    calls = 0

    def between(self, x: Tensor) -> Tensor:
        self.calls += self.training
        return x if self.calls <= 20 else 0.5 * x


@refused("keeps state that no checkpoint holds: calls")
def step_counter(shape: Shape, classes: int) -> nn.Module:
    """Build a net that counts its steps in an attribute."""
    return _Counts(shape, classes)


class _CountsOften(Two):
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


class _CountsInItsClass(Two):
    steps = 0

    def between(self, x: Tensor) -> Tensor:
        type(self).steps += 1
        return x


refused("keeps state that no checkpoint holds: _CountsInItsClass.steps")(_CountsInItsClass)

_STEPS: list[int] = []


class _CountsInAVariable(Two):
    def between(self, x: Tensor) -> Tensor:
        _STEPS.append(0)
        return x


refused("keeps state that no checkpoint holds: tests.support.odd_models.hidden_state._STEPS")(
    _CountsInAVariable
)


class _NotKept(Two):
    average: Tensor

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__(shape, classes)
        self.register_buffer("average", torch.zeros(()), persistent=False)

    def between(self, x: Tensor) -> Tensor:
        if self.training:
            self.average.mul_(0.9).add_(1)
        return x + self.average


refused("keeps state that no checkpoint holds: average")(_NotKept)


class _ScaledByItsFirstBatch(Two):
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


class _UnkeepableState(ExtraState):
    def get_extra_state(self) -> Any:
        return {"steps": self}


refused("its state cannot be kept in a checkpoint")(_UnkeepableState)
