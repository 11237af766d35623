"""Facts about a model that training needs, found on the CPU from a few images."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness import model_registry
from harness.config.settings import Settings
from harness.model_contract import checked_logits
from harness.training.batch_shard import BatchShard
from harness.training.distributed import alone
from harness.training.layers import Takeover
from harness.training.losses import class_logits
from harness.training.precision import PRECISIONS, cast
from harness.training.rng import derive, kept_random_states, seed_globally

ROWS = 2  # a batch norm takes no fewer
CPU = torch.device("cpu")


@dataclass(frozen=True)
class ModelFacts:
    """Whether parameters get no or sparse gradients, dropouts are recomputed, all seeds begin alike."""

    has_unused: bool
    has_sparse: bool
    recomputes: bool
    has_fixed_weights: bool


def initialised(
    settings: Mapping[str, Any], seed: int, image_shape: tuple[int, ...], num_classes: int
) -> nn.Module:
    """Build the model on the CPU with the seed's initial weights; the caller's random states are kept."""
    with kept_random_states():
        seed_globally(derive(seed, "init"))
        return model_registry.build(settings, image_shape, num_classes)


def facts_of(settings: Settings, image_shape: tuple[int, ...], num_classes: int) -> ModelFacts:
    """Find the facts, once for the settings that matter; raise whatever the model's forward raises."""
    model, precision = json.dumps(settings.model), settings.training.precision
    return _facts_of(model, precision, image_shape, num_classes)


@functools.cache
def _facts_of(model: str, precision: str, image_shape: tuple[int, ...], num_classes: int) -> ModelFacts:
    settings = json.loads(model)
    plain, other = (initialised(settings, seed, image_shape, num_classes) for seed in (0, 1))
    pairs = zip(plain.parameters(), other.parameters(), strict=False)
    has_fixed_weights = all(torch.equal(one, another) for one, another in pairs)
    takeover = Takeover(plain)
    cast(plain.train(), PRECISIONS[precision].dtype)
    shard = BatchShard(alone(CPU), seed=0, expects_recomputation=True)
    examples = Examples.of(settings["name"], image_shape, num_classes, PRECISIONS[precision].dtype)
    with kept_random_states(), takeover.functions(), PRECISIONS[precision].forward(CPU):
        examples.passed(plain, shard)
    gradients = [each.grad for each in plain.parameters() if each.requires_grad]
    return ModelFacts(
        has_unused=any(each is None for each in gradients),
        has_sparse=any(each is not None and each.is_sparse for each in gradients),
        recomputes=shard.has_recomputed,
        has_fixed_weights=has_fixed_weights,
    )


@dataclass(frozen=True)
class Examples:
    """A made-up global batch for a model: images (N, C, H, W) and labels (N,), the same each time."""

    model: str
    num_classes: int
    images: Tensor
    labels: Tensor

    @classmethod
    def of(
        cls,
        model: str,
        image_shape: tuple[int, ...],
        num_classes: int,
        dtype: torch.dtype,
        rows: int = ROWS,
    ) -> Examples:
        """Generate this number of rows."""
        generator = torch.Generator().manual_seed(0)
        images = torch.rand(rows, *image_shape, generator=generator, dtype=torch.float64)
        return cls(model, num_classes, images.to(dtype), torch.arange(rows) % max(num_classes, 2))

    def to(self, device: torch.device) -> Examples:
        """Return the same rows on a device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def passed(
        self,
        model: nn.Module,
        shard: BatchShard,
        start: int = 0,
        stop: int | None = None,
        *,
        backward: bool | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Pass rows forward and, in train mode, backward; return their logits and summed loss.

        The gradients are those of the whole batch's mean loss. Without rows, one runs that counts as nothing.
        """
        stop = len(self.labels) if stop is None else stop
        is_empty = start == stop
        rows = slice(0, 1) if is_empty else slice(start, stop)
        shard.set(start, stop - start, len(self.labels))
        with shard.active_in_thread():
            images = self.images[rows]
            logits = checked_logits(self.model, model(images), len(images), self.num_classes)
            weight = 0 if is_empty else 1
            loss = functional.cross_entropy(class_logits(logits), self.labels[rows], reduction="sum") * weight
            if model.training if backward is None else backward:
                (loss / len(self.labels)).backward()  # type: ignore[no-untyped-call]
        return logits.detach()[: stop - start], loss.detach()
