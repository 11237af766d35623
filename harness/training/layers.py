"""Layers whose result does not depend on how a batch is sharded over ranks, and their insertion."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from harness.training.distributed import ProcessGroup
from harness.training.rng import derive, keep_mask, positions


@dataclass
class BatchShard:
    """A rank's rows of the global batch of the current step; the training step sets it, the layers read it.

    `step` is an int64 scalar on the device; `passes` counts the batches that went through.
    """

    world: ProcessGroup
    seed: int
    first_row: int = 0
    rows: int = 0
    size: int = 0
    passes: int = 0
    step: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.step = torch.zeros((), dtype=torch.int64, device=self.world.device)

    def set(self, first_row: int, rows: int, size: int) -> None:
        """Move on to another batch: `rows` rows, from `first_row` on, of a global batch of `size`."""
        self.first_row, self.rows, self.size = first_row, rows, size
        self.passes += 1


class GlobalBatchNorm(_BatchNorm):
    """Batch norm with the statistics of the global batch, on any device; channels are dimension 1.

    Equals nn.BatchNorm1d/2d/3d on the whole batch, whatever rows each rank has, even none.
    """

    def __init__(self, norm: _BatchNorm, shard: BatchShard) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self.shard = shard
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        self.train(norm.training)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 (torch's name)
        """Accept what the replaced layer accepts: anything with channels in dimension 1."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Normalise (N, C, ...) and, in train mode, update the running statistics."""
        uses_batch = self.training or self.running_mean is None
        if self.shard.world.world_size == 1 or not uses_batch:
            return super().forward(input)
        normalised, mean, variance, count = _Normalise.apply(
            input, self.weight, self.bias, self.eps, self.shard
        )
        if self.training and self.running_mean is not None:
            self._follow(mean, variance * (count / (count - 1)))
        return cast(Tensor, normalised)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        factor = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), factor)
        self.running_var.lerp_(variance.to(self.running_var.dtype), factor)


class _Normalise(torch.autograd.Function):
    """Normalise by statistics over all ranks, combined as in Chan et al. (1979); bfloat16 sums in float32."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, shard: BatchShard
    ) -> tuple[Tensor, ...]:
        channels = x.shape[1]
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        rows = wide.new_full((1,), x.numel() // channels)
        none = wide.new_zeros(channels)
        local = torch.batch_norm_update_stats(wide, None, None, 0.0) if x.numel() else (none, none)
        parts = shard.world.gather(torch.cat([*local, rows]))
        means, variances, counts = torch.split(parts, [channels, channels, 1], dim=1)
        count = counts.sum()
        if shard.size < 2 and count <= 1:  # checked only if possible: this waits for the device
            raise ValueError(f"batch norm over {int(count)} value per channel, expected 2 or more")
        weights = counts / count
        mean = (means * weights).sum(0)
        variance = ((variances + (means - mean).square()) * weights).sum(0)
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.world, ctx.eps = shard.world, eps
        ctx.mark_non_differentiable(mean, variance, count)
        return functional.batch_norm(x, mean, variance, weight, bias, eps=eps), mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance, count = ctx.saved_tensors
        wide, scale = x.to(mean.dtype), torch.rsqrt(variance + ctx.eps)
        factor = scale if weight is None else scale * weight
        # First as if the statistics were constants, which gives both sums too; then through the statistics.
        x_grad, weight_grad, bias_grad = (
            torch.ops.aten.native_batch_norm_backward(
                grad.to(mean.dtype),
                wide,
                torch.ones_like(mean) if weight is None else weight,
                *(mean, variance),
                *(mean, scale),  # some kernels read these instead, as saved statistics
                False,
                ctx.eps,
                [True] * 3,
            )
            if x.numel()
            else (torch.empty_like(wide), torch.zeros_like(mean), torch.zeros_like(mean))
        )
        totals = ctx.world.sum_(torch.cat([bias_grad, weight_grad])) / count
        mean_grad, mean_product = totals.chunk(2)
        slope = -factor * scale * mean_product
        offset = -factor * mean_grad - slope * mean
        shape = [1, len(mean)] + [1] * (x.dim() - 2)
        x_grad.add_(offset.view(shape)).addcmul_(wide, slope.view(shape))
        _, needs_weight, needs_bias, *_ = ctx.needs_input_grad
        own = (weight_grad if needs_weight else None, bias_grad if needs_bias else None)
        return x_grad.to(x.dtype), *own, None, None


class GlobalDropout(nn.Module):
    """Dropout whose mask depends on the position in the global batch, not on the rank; batch first."""

    def __init__(self, p: float, name: str, shard: BatchShard) -> None:
        super().__init__()
        self.p, self.name, self.shard = p, name, shard
        self._pass, self._calls = -1, 0
        self._hashed: dict[tuple[int, ...], Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Zero elements of (N, ...) with probability p and scale the others by 1 / (1 - p), in train mode."""
        if not self.training or self.p == 0:
            return x
        if x.dim() < 2 or x.shape[0] != self.shard.rows:
            raise ValueError(
                f"dropout {self.name!r}: found the shape {tuple(x.shape)}, expected the batch's "
                f"{self.shard.rows} rows in the first of two dimensions or more"
            )
        self._calls = self._calls + 1 if self._pass == self.shard.passes else 0
        self._pass = self.shard.passes
        features = x[:1].numel() if x.shape[0] else 1
        keep = keep_mask(self._positions(self._calls, features), self.shard.step, self.p)
        return x * keep.view(x.shape) / (1 - self.p) if self.p < 1 else x * 0

    def _positions(self, call: int, features: int) -> Tensor:
        """Return the hashed positions of the rank's rows, computed once for each different shard."""
        shard = self.shard
        place = (call, shard.first_row, shard.rows, features)
        if place not in self._hashed:
            key = derive(shard.seed, "dropout", self.name, call)
            self._hashed[place] = positions(key, *place[1:], shard.world.device)
        return self._hashed[place]


def swap_layers(model: nn.Module, shard: BatchShard) -> dict[str, int]:
    """Replace batch norms and dropouts, in place, by those above; return how many of which type."""
    names = {id(module): name for name, module in model.named_modules()}
    swapped: dict[int, nn.Module] = {}
    types: Counter[str] = Counter()
    for parent in list(model.modules()):
        for attribute, child in parent._modules.items():
            if child is None or not (isinstance(child, _BatchNorm) or type(child) is nn.Dropout):
                continue
            if id(child) not in swapped:
                types[type(child).__name__] += 1
                swapped[id(child)] = (
                    GlobalBatchNorm(child, shard)
                    if isinstance(child, _BatchNorm)
                    else GlobalDropout(child.p, names[id(child)], shard)
                )
            parent._modules[attribute] = swapped[id(child)].train(child.training)
    return dict(sorted(types.items()))
