"""Summary of a model: its layers in the order of their outputs, with shapes, parameters and FLOPs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from harness.training.cost import Operations, cost_of_model, counted
from harness.training.model_facts import initialised
from harness.user_code import calling

_ROWS = (2, 3)  # of two batches: a side that differs between them grows with the batch


@dataclass(frozen=True)
class Layer:
    """One call of a module: its output's shape, its own parameters, and its FLOPs per image.

    What modules within it do and hold is theirs, if they are called.
    """

    name: str
    kind: str
    shape: str
    parameters: int
    flops: int


@dataclass(frozen=True)
class ModelSummary:
    """A model's layers; parameters and FLOPs of all; `training_flops` are those forward and backward."""

    layers: list[Layer]
    parameters: int
    flops: int
    training_flops: int


def summary_of(settings: Mapping[str, Any], image_shape: tuple[int, ...], num_classes: int) -> ModelSummary:
    """Build the model and pass made-up images; raise ModelError if either fails."""
    with calling(f"model {settings['name']!r}: fails on made-up images"):
        model = initialised(settings, 0, image_shape, num_classes).train()
        passes = [_passed(model, rows, image_shape) for rows in _ROWS]
        training_flops = cost_of_model(settings, image_shape, num_classes).flops_per_image
    layers = [
        Layer(one.name, one.kind, _shape(one.sizes, other.sizes), one.parameters, one.flops // _ROWS[0])
        for one, other in zip(*passes, strict=True)
        if one.parameters or one.flops or one.is_leaf
    ]
    parameters = sum(each.numel() for each in model.parameters())
    return ModelSummary(layers, parameters, sum(each.flops for each in layers), round(training_flops))


@dataclass
class _Call:
    name: str
    kind: str
    is_leaf: bool
    parameters: int
    started: int  # FLOPs until then
    inner: int = 0
    flops: int = 0
    sizes: tuple[int, ...] | None = None


@dataclass
class _Calls:
    """The calls of a model's modules while images pass."""

    operations: Operations
    counted: set[int] = field(default_factory=set)
    under_way: list[_Call] = field(default_factory=list)
    ended: list[_Call] = field(default_factory=list)

    def start(self, name: str, module: nn.Module) -> None:
        is_leaf = next(module.children(), None) is None
        self.under_way.append(_Call(name, type(module).__name__, is_leaf, 0, self.operations.total))

    def end(self, module: nn.Module, given: Any) -> None:
        call = self.under_way.pop()
        whole = self.operations.total - call.started
        call.flops = whole - call.inner
        if self.under_way:
            self.under_way[-1].inner += whole
        for each in module.parameters():  # those that no call within has counted
            call.parameters += 0 if id(each) in self.counted else each.numel()
            self.counted.add(id(each))
        call.sizes = tuple(given.shape) if isinstance(given, Tensor) else None
        self.ended.append(call)


def _passed(model: nn.Module, rows: int, image_shape: tuple[int, ...]) -> list[_Call]:
    """Pass so many images forward; return the calls in the order in which they ended."""
    handles = []
    with torch.no_grad(), counted() as operations:
        calls = _Calls(operations)
        for name, module in model.named_modules():
            start = module.register_forward_pre_hook(lambda module, _, name=name: calls.start(name, module))
            end = module.register_forward_hook(lambda module, _, given: calls.end(module, given))
            handles += [start, end]
        model(torch.zeros(rows, *image_shape))
    for handle in handles:
        handle.remove()
    return calls.ended


def _shape(one: tuple[int, ...] | None, other: tuple[int, ...] | None) -> str:
    """Return a shape as text, from those for two batches; N stands for the number of images."""
    if one is None or other is None or len(one) != len(other):
        return "–"
    return " × ".join(map(_side, one, other))


def _side(one: int, other: int) -> str:
    per_image = (other - one) // (_ROWS[1] - _ROWS[0])
    return str(one) if one == other else "N" if per_image == 1 else f"{per_image}N"
