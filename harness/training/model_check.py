"""Check, before training, that a model's results do not depend on how a batch is sharded over ranks."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from harness import model_registry
from harness.config.settings import Settings
from harness.errors import ModelError
from harness.training.distributed import alone
from harness.training.layers import BatchShard, GlobalBatchNorm, GlobalDropout, swap_layers
from harness.training.rng import derive

_ROWS = 4
_CPU = torch.device("cpu")


def initialised(
    settings: Mapping[str, Any], seed: int, image_shape: tuple[int, int, int], num_classes: int
) -> nn.Module:
    """Build the model on the CPU with the seed's initial weights; the caller's random state is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "init"))
        return model_registry.build(settings, image_shape, num_classes)


def has_unused_parameters(settings: Settings, image_shape: tuple[int, int, int], num_classes: int) -> bool:
    """Check the model on the CPU, once for its settings; return whether some parameters get no gradient.

    Raise ModelError, with the layer's name, if it draws random numbers of its own or mixes the rows of a
    batch other than by batch norm, unless that is allowed; also if it fails on any batch.
    """
    model = json.dumps(settings.model)
    return _has_unused_parameters(model, image_shape, num_classes, settings.training.allow_rank_dependent)


@functools.cache
def _has_unused_parameters(
    model: str, image_shape: tuple[int, int, int], num_classes: int, allow: bool
) -> bool:
    settings = json.loads(model)
    name = settings["name"]
    probe = initialised(settings, 0, image_shape, num_classes).train()
    shard = BatchShard(alone(_CPU), seed=0, rows=_ROWS)
    swap_layers(probe, shard)
    images = torch.rand(_ROWS, *image_shape, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        try:
            culprits = _random_layers(probe, images)
            logits = probe(images)
            logits.sum().backward()
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise ModelError(f"model {name!r}: fails on a batch of {_ROWS} images: {error}") from error
        reasons = [f"{layer} draws random numbers of its own" for layer in culprits]
        if not culprits and _mixes_rows(probe, images):
            reasons.append("an image's logits depend on the other images of the batch, and not by batch norm")
    if reasons and not allow:
        raise ModelError(
            f"model {name!r}: {'; '.join(reasons)}: its results would depend on the number of ranks; use "
            "nn.Dropout and nn.BatchNorm, or allow it with `training.allow_rank_dependent: true`"
        )
    return any(each.grad is None for each in probe.parameters() if each.requires_grad)


def _random_layers(model: nn.Module, images: Tensor) -> list[str]:
    """Name the innermost modules whose forward changes torch's random state."""
    moved: list[str] = []
    before: dict[str, Tensor] = {}

    def enter(name: str) -> None:
        before[name] = torch.get_rng_state()

    def leave(name: str) -> None:
        inner = any(each.startswith(f"{name}.") or not name for each in moved)
        if not inner and not torch.equal(before[name], torch.get_rng_state()):
            moved.append(name)

    handles = []
    for name, module in model.named_modules():
        handles.append(module.register_forward_pre_hook(lambda *_, name=name: enter(name)))
        handles.append(module.register_forward_hook(lambda *_, name=name: leave(name)))
    model(images)
    for handle in handles:
        handle.remove()
    return [_described(model, name) for name in moved]


def _described(model: nn.Module, name: str) -> str:
    kind = type(model.get_submodule(name)).__name__
    return f"layer {name!r} ({kind})" if name else f"the forward of {kind} itself"


def _mixes_rows(model: nn.Module, images: Tensor) -> bool:
    """Tell whether the first row's logits depend on the other rows, other than by the swapped layers."""
    for module in _swapped(model):
        module.eval()
    model.double()
    rows = images.double()
    with torch.no_grad():
        return not torch.allclose(model(rows)[0], model(torch.cat([rows[:1], 1 - rows[1:]]))[0], rtol=1e-9)


def _swapped(model: nn.Module) -> Iterator[nn.Module]:
    return (module for module in model.modules() if isinstance(module, GlobalBatchNorm | GlobalDropout))
