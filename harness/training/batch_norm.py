"""Batch norm and instance norm with the statistics of the global batch, on any device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from harness.training.batch_shard import BatchShard, active_shard

_plain_batch_norm: Callable[..., Tensor] = functional.batch_norm
_plain_instance_norm: Callable[..., Tensor] = functional.instance_norm


def batch_norm(
    input: Tensor,  # noqa: A002 (torch's name)
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise (N, C, ...) as torch.nn.functional.batch_norm does on the whole global batch."""
    shard = active_shard()
    if shard is None or shard.world.world_size == 1 or not training:
        return _plain_batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)
    normalised, mean, variance, count = _Normalise.apply(input, weight, bias, eps, shard)
    if running_mean is not None and running_var is not None:
        _follow(running_mean, mean, momentum)
        _follow(running_var, variance * (count / (count - 1)), momentum)
    return cast(Tensor, normalised)


def instance_norm(
    input: Tensor,  # noqa: A002 (torch's name)
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise (N, C, ...) as torch's; the running statistics follow the mean over the global batch."""
    shard = active_shard()
    is_alone = shard is None or shard.world.world_size == 1
    if is_alone or not use_input_stats or running_mean is None or running_var is None:
        return _plain_instance_norm(
            input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps
        )
    assert shard is not None
    with torch.no_grad():
        places = list(range(2, input.dim()))
        variances, means = torch.var_mean(input.to(running_mean.dtype), places)
        sums = torch.cat([means.sum(0), variances.sum(0), means.new_full((1,), len(means))])
        sums = shard.world.sum_(torch.zeros_like(sums) if shard.is_empty else sums)
        mean, variance = (sums[:-1] / sums[-1]).chunk(2)
        _follow(running_mean, mean, momentum)
        _follow(running_var, variance, momentum)
    return _plain_instance_norm(input, None, None, weight, bias, use_input_stats, momentum, eps)


@torch.no_grad()
def _follow(running: Tensor, batch: Tensor, momentum: float) -> None:
    running.lerp_(batch.to(running.dtype), momentum)


class _Normalise(torch.autograd.Function):
    """Normalise by statistics over all ranks, combined as in Chan et al. (1979); bfloat16 sums in float32."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, shard: BatchShard
    ) -> tuple[Tensor, ...]:
        channels = x.shape[1]
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        rows = wide.new_full((1,), x.numel() // channels)
        none = wide.new_zeros(2 * channels + 1)
        counts_here = x.numel() and not shard.is_empty
        own = (
            torch.cat([*torch.batch_norm_update_stats(wide, None, None, 0.0), rows]) if counts_here else none
        )
        parts = shard.world.gather(own)
        means, variances, counts = torch.split(parts, [channels, channels, 1], dim=1)
        count = counts.sum()
        if shard.size < 2 and count <= 1:  # checked only if possible: this waits for the device
            raise ValueError(f"batch norm over {int(count)} value per channel, expected 2 or more")
        weights = counts / count
        mean = (means * weights).sum(0)
        variance = ((variances + (means - mean).square()) * weights).sum(0)
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.world, ctx.is_empty, ctx.eps = shard.world, shard.is_empty, eps
        ctx.mark_non_differentiable(mean, variance, count)
        return _plain_batch_norm(x, mean, variance, weight, bias, eps=eps), mean, variance, count

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
        if not ctx.is_empty:
            x_grad.add_(offset.view(shape)).addcmul_(wide, slope.view(shape))
        _, needs_weight, needs_bias, *_ = ctx.needs_input_grad
        own = (weight_grad if needs_weight else None, bias_grad if needs_bias else None)
        return x_grad.to(x.dtype), *own, None, None
