"""Comparison of a model on a whole batch with the same batch cut into the shards of simulated ranks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from harness.training.batch_shard import BatchShard
from harness.training.distributed import alone
from harness.training.layers import Takeover
from harness.training.model_facts import CPU, Examples
from harness.training.random_draws import described
from harness.training.simulated_ranks import SimulatedRank, simulate

ROWS = 4
_CUTS: tuple[tuple[int, ...], ...] = ((1,), (1, 1))  # where: into 1 and 3 rows; into 1, none and 3
_STEPS = 2
_LR = 0.05
_EXACT = 1e-9
_ROUNDING = 10  # times what another order of the rows changes
_MOST_ROUNDING = 1e-2
_NUDGE = 1e-15  # relative; a change of this size in the images is as small as rounding
_NUDGED = 100  # times what such a change does
_LEAST_SCALE = 1e-6  # what should be zero is some 1e-17

Build = Callable[[], nn.Module]
Trace = dict[str, Tensor]


def difference_by_sharding(build: Build, examples: Examples) -> str:
    """Return what differs between the whole batch and its shards, empty if only rounding does.

    Two training steps and an evaluation are compared: logits, losses, all gradients and buffers.
    """
    limit = _limit(build, examples)
    (whole,) = _traces(build, examples, ())
    amplified: Trace | None = None
    for cuts in _CUTS:
        traces = _traces(build, examples, cuts)
        together = {
            key: torch.cat([each[key] for each in traces]) for key in whole if key.startswith("logits")
        }
        for key in whole:
            parts = [together[key]] if key in together else [each[key] for each in traces if key in each]
            apart = max(distance(whole[key], part, _LEAST_SCALE) for part in parts)
            if apart <= limit:
                continue
            amplified = amplified or _nudged(build, examples)
            rounding = distance(whole[key], amplified[key], _LEAST_SCALE)
            if apart > min(_NUDGED * rounding, _MOST_ROUNDING):
                return f"{_culprit(build, examples, cuts, limit) or key}"
    return ""


def _nudged(build: Build, examples: Examples) -> Trace:
    """Return what the whole batch gives when its images change by no more than rounding does.

    Batch norms over few values, one after the other, may amplify that by many orders of magnitude.
    """
    noise = torch.rand(examples.images.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    images = examples.images * (1 + _NUDGE * (2 * noise - 1)).to(examples.images.dtype)
    (trace,) = _traces(build, replace(examples, images=images), ())
    return trace


def _traces(build: Build, examples: Examples, cuts: Sequence[int]) -> list[Trace]:
    """Train and evaluate on one rank for each shard; return what each finds."""
    models = [_taken_over(build) for _ in range(len(cuts) + 1)]
    edges = [0, *cuts, len(examples.labels)]

    def work(rank: SimulatedRank) -> Trace:
        model = models[rank.rank][0]
        return _trace(
            model,
            BatchShard(rank, 0, expects_recomputation=True),
            examples,
            *edges[rank.rank : rank.rank + 2],
        )

    with models[0][1].functions():
        return simulate(len(models), work)


def _taken_over(build: Build) -> tuple[nn.Module, Takeover]:
    model = build().train()
    return model, Takeover(model)


def _trace(model: nn.Module, shard: BatchShard, examples: Examples, start: int, stop: int) -> Trace:
    found: Trace = {}
    trained = [each for each in model.parameters() if each.requires_grad]
    for step in range(_STEPS):
        logits, loss = examples.passed(model, shard, start, stop)
        found[f"logits in step {step + 1}"] = logits
        found[f"the loss in step {step + 1}"] = shard.world.sum_(loss.clone())
        gradients = torch.cat([_gradient(each) for each in trained])
        model.zero_grad()
        shard.world.sum_(gradients)
        if shard.world.rank == 0:  # they are the same on all
            found[f"the gradients in step {step + 1}"] = gradients
        parts = torch.split(gradients, [_real(each).numel() for each in trained])
        for parameter, part in zip(trained, parts, strict=True):
            real = _real(parameter.detach())
            real.sub_(_LR * part.view(real.shape).to(real.dtype))
        shard.advance()
    for name, buffer in model.named_buffers():
        found[f"buffer {name!r}"] = buffer.clone()
    with torch.no_grad():
        found["logits in eval mode"], _ = examples.passed(model.eval(), shard, start, stop)
    return found


def _real(x: Tensor) -> Tensor:
    return torch.view_as_real(x) if x.is_complex() else x


def _gradient(parameter: nn.Parameter) -> Tensor:
    """Return a parameter's gradient as a dense float64 vector, of zeros if it has none."""
    gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    return _real(gradient.to_dense()).double().flatten()


def distance(one: Tensor, another: Tensor, least_scale: float = 1e-30) -> float:
    """Return the largest difference, relative to the largest value or `least_scale`; NaN equals NaN."""
    if one.shape != another.shape:
        return float("inf")
    one, another = (_real(each.detach()).double() for each in (one, another))
    apart = torch.where(one.isnan() & another.isnan() | (one == another), 0.0, (one - another).abs())
    largest = apart.nan_to_num(torch.inf).amax().item() if apart.numel() else 0.0
    scale = one.nan_to_num(0.0, 0.0, 0.0).abs().amax().item() if one.numel() else 0.0
    return largest / max(scale, least_scale)


def _limit(build: Build, examples: Examples) -> float:
    """Return the relative difference up to which two results count as equal.

    Lower precisions than float64 may differ by ten times the effect of another order of the rows.
    """
    plain = build()
    with torch.no_grad(), _LowPrecision() as seen:
        plain(examples.images)
    if not seen.any:
        return _EXACT
    found = []
    for order in (slice(None), torch.arange(len(examples.labels) - 1, -1, -1)):
        model, takeover = _taken_over(build)
        turned = replace(examples, images=examples.images[order], labels=examples.labels[order])
        with takeover.functions():
            logits, _ = turned.passed(model.eval(), BatchShard(alone(CPU), seed=0), backward=True)
        gradients = [_gradient(each) for each in model.parameters() if each.requires_grad]
        found.append((logits[order], torch.cat(gradients)))
    rounding = max(distance(one, another) for one, another in zip(*found, strict=True))
    return min(max(_EXACT, _ROUNDING * rounding), _MOST_ROUNDING)


class _LowPrecision(TorchFunctionMode):
    """Detector of computation in less than float64."""

    any = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        is_low = isinstance(out, Tensor) and (out.is_floating_point() or out.is_complex())
        self.any |= is_low and out.dtype not in (torch.float64, torch.complex128)
        return out


def _culprit(build: Build, examples: Examples, cuts: Sequence[int], limit: float) -> str:
    """Describe the innermost module with other outputs for a shard's rows than for the whole batch."""
    edges = [0, *cuts, len(examples.labels)]
    (whole,) = _seen(build, examples, [0, edges[-1]])
    parts = _seen(build, examples, edges)
    for name, (taken, given) in whole.items():
        found = [each[name] for each in parts if name in each]
        is_complete = len(found) == len(parts) and len(taken) == len(given) == edges[-1]
        if not is_complete or distance(taken, torch.cat([each for each, _ in found])) > limit:
            continue
        if distance(given, torch.cat([each for _, each in found])) > limit:
            return described(build(), name)
    return ""


def _seen(build: Build, examples: Examples, edges: Sequence[int]) -> list[dict[str, tuple[Tensor, Tensor]]]:
    """Return each module's inputs and outputs for the rows of each shard, in the order of completion."""
    models = [_taken_over(build) for _ in edges[1:]]

    def work(rank: SimulatedRank) -> dict[str, tuple[Tensor, Tensor]]:
        model, found = models[rank.rank][0], dict[str, tuple[Tensor, Tensor]]()
        start, stop = edges[rank.rank : rank.rank + 2]

        def keep(name: str, taken: Any, given: Any) -> None:
            if taken and isinstance(taken[0], Tensor) and isinstance(given, Tensor) and name not in found:
                found[name] = _rows(taken[0], stop - start), _rows(given, stop - start)

        for name, module in model.named_modules():
            module.register_forward_hook(lambda _, taken, given, name=name: keep(name, taken, given))
        examples.passed(model, BatchShard(rank, 0, expects_recomputation=True), start, stop)
        return found

    with models[0][1].functions():
        return simulate(len(models), work)


def _rows(x: Tensor, rows: int) -> Tensor:
    """Return (rows, ...) of (rows * k, ...), without any for a rank that has none or for another shape."""
    count = max(rows, 1)
    if x.dim() == 0 or len(x) % count:
        return x.new_zeros(0, 1)
    return x.detach().clone().reshape(count, -1)[:rows]
