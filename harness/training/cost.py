"""Cost of a training step, found on the CPU from a few images, and the speedup that more ranks give."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.batchnorm import _BatchNorm

from harness.config.suite import Trial
from harness.training.dataloader import ResidentDataset
from harness.training.dynamo_stub import DispatchMode
from harness.training.model_facts import initialised
from harness.training.precision import PRECISIONS

_ROWS = 4


@dataclass(frozen=True)
class Cost:
    """FLOPs of products and convolutions per image, forward and backward; gradient elements; batch norms."""

    flops_per_image: float
    gradients: int
    batch_norms: int


@dataclass(frozen=True)
class _Speed:
    """Speed of a rank and its exchanges; too fast a rank and too slow an exchange make DDP look worse."""

    flops_per_second: float
    least_step_seconds: float
    exchange_seconds: float
    bytes_per_second: float


# One core, and gloo on one machine: on a Xeon, cores reached 4e10 to 7e10 in fp32, twice that in bf16, and
# two ranks lost 1.0 to 1.4 ms per exchange. A GPU is not measured yet: a step of less than a millisecond is
# bound by its launches, which do not get fewer; exchanges are taken to be as between machines.
_CORE = _Speed(2e11, 0.0, 1.5e-3, 1e9)
_GPU = _Speed(1e14, 1e-3, 5e-5, 1e10)


def cost_of(trial: Trial, data: ResidentDataset) -> Cost:
    """Return the cost of one step of the trial, the same on every device."""
    outputs = trial.settings.training.loss.outputs(data.num_classes)
    return cost_of_model(trial.settings.model, data.image_shape, outputs)


def cost_of_model(model: Mapping[str, Any], image_shape: tuple[int, ...], outputs: int) -> Cost:
    """Return the cost of one training step of a model, by its settings."""
    return _cost_of(json.dumps(model), image_shape, outputs)


def speedup(trial: Trial, data: ResidentDataset, ranks: int, device: torch.device) -> float:
    """Estimate how many times as fast `ranks` ranks train one trial together as one of them does alone."""
    cost, training = cost_of(trial, data), trial.settings.training
    speed, cores = (_GPU, 1) if device.type == "cuda" else (_CORE, torch.get_num_threads())
    flops = cost.flops_per_image * min(training.batch_size, len(data.train))
    size = cost.gradients * PRECISIONS[training.precision].dtype.itemsize
    exchanges = 2 * cost.batch_norms + 1  # a norm's statistics forward and backward, and all gradients
    exchanging = exchanges * speed.exchange_seconds + 2 * size / speed.bytes_per_second

    def computing(sharers: int) -> float:
        return max(flops / (speed.flops_per_second * cores * sharers), speed.least_step_seconds)

    return computing(1) / (computing(ranks) + exchanging)


@functools.cache
def _cost_of(model: str, image_shape: tuple[int, ...], num_classes: int) -> Cost:
    plain = initialised(json.loads(model), 0, image_shape, num_classes).train()
    with counted() as operations:
        plain(torch.zeros(_ROWS, *image_shape)).sum().backward()
    return Cost(
        flops_per_image=operations.total / _ROWS,
        gradients=sum(each.numel() for each in plain.parameters() if each.requires_grad),
        batch_norms=sum(isinstance(each, _BatchNorm) for each in plain.modules()),
    )


@contextlib.contextmanager
def counted() -> Iterator[Operations]:
    """Count the FLOPs of what is computed meanwhile; the random state is put back.

    Attention is computed as products: torch has no formula for the CPU's own.
    """
    with torch.random.fork_rng(devices=[]), sdpa_kernel(SDPBackend.MATH), Operations() as operations:
        yield operations


class Operations(DispatchMode):
    """Counts FLOPs as torch's FlopCounterMode does; that one would import torch's compiler."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        from torch.utils.flop_counter import flop_registry  # its import takes 0.1 s, and few runs need it

        self.total, self.formulas = 0, flop_registry

    def __torch_dispatch__(
        self, operation: Any, types: Any, arguments: Any = (), named: Any = None
    ) -> Any:  # torch's own signature
        out = operation(*arguments, **(named or {}))
        if formula := self.formulas.get(operation._overloadpacket):
            self.total += formula(*arguments, **(named or {}), out_val=out)
        return out
