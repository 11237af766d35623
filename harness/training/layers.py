"""Layers whose result does not depend on how a batch is cut over ranks, and swapping them in."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from harness.training.randomness import derive, keep_mask
from harness.training.world import World


@dataclass
class Cut:
    """Say which rows of which step's global batch a rank holds; the layers read it, the loop sets it."""

    world: World
    seed: int
    step: int = 0
    first_row: int = 0
    rows: int = 0

    def set(self, step: int, first_row: int, rows: int) -> None:
        """Move on to another batch."""
        self.step, self.first_row, self.rows = step, first_row, rows


class GlobalBatchNorm(_BatchNorm):
    """Batch norm with the statistics of the global batch, on any device; channels are dimension 1.

    As nn.BatchNorm1d/2d/3d on the whole batch, whatever rows each rank has, none included.
    """

    def __init__(self, norm: _BatchNorm, cut: Cut) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        self.cut = cut
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        self.train(norm.training)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 (torch's name)
        """Accept what the layer that stood here accepts: anything with channels in dimension 1."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Normalise (N, C, ...) and, in train mode, follow the running statistics."""
        uses_batch = self.training or self.running_mean is None
        if self.cut.world.world_size == 1 or not uses_batch:
            return super().forward(input)
        normalised, mean, variance, count = _Normalise.apply(
            input, self.weight, self.bias, self.eps, self.cut.world
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
    """Normalise by statistics over all ranks; joined as in Chan et al. (1979)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, world: World
    ) -> tuple[Tensor, ...]:
        channels = x.shape[1]
        dims, shape = [0, *range(2, x.dim())], [1, channels] + [1] * (x.dim() - 2)
        rows = x.new_full((1,), x.numel() // channels)
        mean = x.sum(dims) / rows.clamp(min=1)
        deviation = (x - mean.view(shape)).square().sum(dims)
        parts = world.gather(torch.cat([mean, deviation, rows]))
        means, deviations, counts = torch.split(parts, [channels, channels, 1], dim=1)
        count = counts.sum()
        if count <= 1:
            raise ValueError(f"batch norm over {int(count)} value per channel, expected 2 or more")
        mean = (means * counts).sum(0) / count
        variance = (deviations + counts * (means - mean).square()).sum(0) / count
        scale = torch.rsqrt(variance + eps)
        centred = (x - mean.view(shape)) * scale.view(shape)
        ctx.save_for_backward(centred, scale, weight, count)
        ctx.world, ctx.dims, ctx.shape = world, dims, shape
        ctx.mark_non_differentiable(mean, variance, count)
        out = centred.clone() if weight is None else centred * weight.view(shape)
        out = out if bias is None else out + bias.view(shape)
        return out, mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        centred, scale, weight, count = ctx.saved_tensors
        bias_grad = grad.sum(ctx.dims)
        weight_grad = (grad * centred).sum(ctx.dims)
        totals = ctx.world.sum_(torch.cat([bias_grad, weight_grad])) / count
        mean_grad, mean_product = (part.view(ctx.shape) for part in totals.chunk(2))
        factor = scale if weight is None else scale * weight
        x_grad = (grad - mean_grad - centred * mean_product) * factor.view(ctx.shape)
        _, needs_weight, needs_bias, *_ = ctx.needs_input_grad
        return x_grad, weight_grad if needs_weight else None, bias_grad if needs_bias else None, None, None


class GlobalDropout(nn.Module):
    """Dropout whose mask depends on the position in the global batch, not on the rank; batch first."""

    def __init__(self, p: float, name: str, cut: Cut) -> None:
        super().__init__()
        self.p, self.name, self.cut = p, name, cut
        self._step, self._calls = -1, 0

    def forward(self, x: Tensor) -> Tensor:
        """Zero elements of (N, ...) with probability p and scale the others by 1 / (1 - p), in train mode."""
        if not self.training or self.p == 0:
            return x
        if x.dim() < 2 or x.shape[0] != self.cut.rows:
            raise ValueError(
                f"dropout {self.name!r}: found the shape {tuple(x.shape)}, expected the batch's "
                f"{self.cut.rows} rows in the first of two dimensions or more"
            )
        self._calls = self._calls + 1 if self._step == self.cut.step else 0
        self._step = self.cut.step
        key = derive(self.cut.seed, "dropout", self.cut.step, self.name, self._calls)
        features = x[:1].numel() if x.shape[0] else 1
        keep = keep_mask(key, self.cut.first_row, x.shape[0], features, self.p, x.device)
        return x * keep.view(x.shape) / (1 - self.p) if self.p < 1 else x * 0


def swap_layers(model: nn.Module, cut: Cut) -> dict[str, int]:
    """Swap batch norms and dropouts, in place, for those above; return how many of which type."""
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
                    GlobalBatchNorm(child, cut)
                    if isinstance(child, _BatchNorm)
                    else GlobalDropout(child.p, names[id(child)], cut)
                )
            parent._modules[attribute] = swapped[id(child)].train(child.training)
    return dict(sorted(types.items()))
