"""Low-precision weights that are cast together, once a pass; autocast would cast each at its first use.

The bits are the same: only weights take part that autocast casts once and nothing else reads, and a pass over
made-up images must give equal gradients in both ways.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from harness.training.batch_shard import BatchShard
from harness.training.distributed import alone
from harness.training.dynamo_stub import DispatchMode
from harness.training.layers import Takeover
from harness.training.model_facts import Examples, initialised
from harness.training.precision import PRECISIONS, Precision
from harness.training.rng import kept_random_states, seed_globally

_CAST = torch.ops.aten._to_copy.default


class WeightCasts:
    """Copies of a model's weights, by name, in the dtype of activations; they stand in during a pass."""

    def __init__(self, model: nn.Module, names: frozenset[str], dtype: torch.dtype | None) -> None:
        self._weights = [each for name, each in model.named_parameters() if name in names]
        self._copies = [nn.Parameter(torch.empty_like(each, dtype=dtype)) for each in self._weights]
        copies = dict(zip(self._weights, self._copies, strict=True))
        self._places = [
            (module._parameters, key, weight, copies[weight])
            for module in model.modules()
            for key, weight in module._parameters.items()
            if weight is not None and weight in copies
        ]

    @contextlib.contextmanager
    def standing_in(self) -> Iterator[None]:
        """Cast the weights; let the model use the copies, and then give the weights their gradients."""
        if not self._weights:
            yield
            return
        for copy in self._copies:
            copy.grad = None  # of a pass that was broken off
        with torch.no_grad():
            torch._foreach_copy_([*self._copies], [*self._weights])
        for parameters, key, _, copy in self._places:
            parameters[key] = copy
        try:
            yield
        finally:
            for parameters, key, weight, _ in self._places:
                parameters[key] = weight
        self._hand_over()

    @torch.no_grad()
    def _hand_over(self) -> None:
        """Copy the gradients of the copies, or add them to those of the batch's earlier parts."""
        new, old = list[tuple[Tensor, Tensor]](), list[tuple[Tensor, Tensor]]()
        for weight, copy in zip(self._weights, self._copies, strict=True):
            if copy.grad is None:
                continue
            if weight.grad is None:
                weight.grad = torch.empty_like(weight)
                new.append((weight.grad, copy.grad))
            else:
                old.append((weight.grad, copy.grad))
            copy.grad = None
        if new:
            torch._foreach_copy_([into for into, _ in new], [found for _, found in new])
        if old:
            torch._foreach_add_([into for into, _ in old], [found for _, found in old])


def castable(
    settings: Mapping[str, Any],
    precision: str,
    image_shape: tuple[int, ...],
    outputs: int,
    device: torch.device,
) -> frozenset[str]:
    """Name the weights that may be cast together on this device; none where a single bit would differ."""
    if PRECISIONS[precision].activations is None:
        return frozenset()
    return _castable(json.dumps(settings), precision, image_shape, outputs, device.type)


@functools.cache
def _castable(
    model: str, precision: str, image_shape: tuple[int, ...], outputs: int, device_type: str
) -> frozenset[str]:
    settings, chosen, device = json.loads(model), PRECISIONS[precision], torch.device(device_type)
    plain = initialised(settings, 0, image_shape, outputs).to(device).train()
    examples = Examples.of(settings["name"], image_shape, outputs, chosen.dtype).to(device)
    uses = _Uses(plain, chosen.activations)
    with uses:
        expected = _passed(plain, examples, chosen, WeightCasts(plain, frozenset(), chosen.activations))
    again = initialised(settings, 0, image_shape, outputs).to(device).train()
    casts = WeightCasts(again, uses.cast_alone(), chosen.activations)
    found = _passed(again, examples, chosen, casts)
    is_same = all(torch.equal(one, another) for one, another in zip(expected, found, strict=True))
    return uses.cast_alone() if is_same else frozenset()


def _passed(plain: nn.Module, examples: Examples, precision: Precision, casts: WeightCasts) -> list[Tensor]:
    """Return the logits of a pass in train mode, and all gradients that it gives."""
    takeover, shard = Takeover(plain), BatchShard(alone(examples.images.device), seed=0)
    with kept_random_states(examples.images.device), takeover.functions(), casts.standing_in():
        seed_globally(0)
        with precision.forward(examples.images.device):
            logits, _ = examples.passed(plain, shard)
    return [logits, *(each.grad.to_dense() for each in plain.parameters() if each.grad is not None)]


class _Uses(DispatchMode):
    """Observer of what operations read a model's trained weights, or views of them."""

    def __init__(self, model: nn.Module, dtype: torch.dtype | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._dtype = dtype
        weights = {name: each for name, each in model.named_parameters() if each.requires_grad}
        self._names = {each.untyped_storage()._cdata: name for name, each in weights.items()}
        self._casts, self._others = Counter[str](), Counter[str]()

    def __torch_dispatch__(
        self, operation: Any, types: Any, arguments: Any = (), named: Any = None
    ) -> Any:  # torch's own signature
        named = named or {}
        for each in tree_leaves((arguments, named)):
            has_storage = isinstance(each, Tensor) and each.layout is torch.strided
            name = self._names.get(each.untyped_storage()._cdata) if has_storage else None
            if name is not None and not operation.is_view:
                is_cast = operation is _CAST and named.get("dtype") == self._dtype
                (self._casts if is_cast else self._others)[name] += 1
        return operation(*arguments, **named)

    def cast_alone(self) -> frozenset[str]:
        """Name the weights that were cast once, and read by nothing else."""
        return frozenset(name for name, count in self._casts.items() if count == 1 and not self._others[name])
