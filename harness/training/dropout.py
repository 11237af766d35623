"""Dropout of every kind, with masks that depend on the position in the global batch, not on the rank."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from harness.training.batch_shard import BatchShard, active_shard
from harness.training.rng import keep_mask

_plain_attention: Callable[..., Tensor] = functional.scaled_dot_product_attention
_SELU_FLOOR = -1.7580993408473766  # -scale * alpha of SELU (Klambauer et al., 2017)


def dropout_like(plain: Callable[..., Tensor], name: str) -> Callable[..., Tensor]:
    """Return torch.nn.functional's dropout of this name, with the mask of the global batch; batch first."""
    by_channel, is_alpha = name not in {"dropout", "alpha_dropout"}, "alpha" in name
    unbatched_dims = {"dropout1d": 2, "dropout3d": 4}.get(name)

    def dropout(
        input: Tensor,  # noqa: A002 (torch's name)
        p: float = 0.5,
        training: bool = not is_alpha,
        inplace: bool = False,
    ) -> Tensor:
        shard = active_shard()
        if shard is None or not training or not 0 < p <= 1:
            return plain(input, p, training, inplace)
        if input.dim() == unbatched_dims:
            raise _not_batch_first(shard, input)
        keep = _keep(shard, input, p, by_channel=by_channel)
        out = _alpha(input, keep, p) if is_alpha else _scaled(input, keep, p)
        return input.copy_(out) if inplace else out

    return dropout


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **named: Any,
) -> Tensor:
    """Attend as torch's scaled_dot_product_attention; with dropout weights (N, ..., L, S) are computed."""
    shard = active_shard()
    if shard is None or dropout_p == 0:
        return _plain_attention(query, key, value, attn_mask, dropout_p, is_causal, **named)
    if named.get("enable_gqa"):
        key, value = (each.repeat_interleave(query.shape[-3] // each.shape[-3], -3) for each in (key, value))
    scale = named.get("scale")
    scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None:
        is_bool = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -math.inf) if is_bool else scores + attn_mask
    weights = scores.softmax(-1)
    keep = _keep(shard, weights, dropout_p, by_channel=False)
    return _scaled(weights, keep, dropout_p) @ value


def _keep(shard: BatchShard, x: Tensor, p: float, *, by_channel: bool) -> Tensor:
    """Return which elements of (N * k, ...) survive, or which channels of (N * k, C, ...)."""
    if x.dim() < 1 or x.shape[0] % shard.rows or x.shape[0] == 0:
        raise _not_batch_first(shard, x)
    shape = (*x.shape[:2], *[1] * (x.dim() - 2)) if by_channel else tuple(x.shape)
    hashed = shard.hashed_positions(x, math.prod(shape) // shard.rows)
    return keep_mask(hashed, shard.step_key(), p).view(shape)


def _scaled(x: Tensor, keep: Tensor, p: float) -> Tensor:
    return x * keep / (1 - p) if p < 1 else x * 0


def _alpha(x: Tensor, keep: Tensor, p: float) -> Tensor:
    """Return alpha dropout: the dropped are SELU's floor, then mean and variance are restored."""
    if p == 1:
        return x * 0
    scale = ((_SELU_FLOOR**2 * p + 1) * (1 - p)) ** -0.5
    out: Tensor = torch.where(keep, x * scale, _SELU_FLOOR * scale) - _SELU_FLOOR * scale * p
    return out


def _not_batch_first(shard: BatchShard, x: Tensor) -> ValueError:
    where = f"dropout {shard.layer!r}" if shard.layer else "a dropout in a forward"
    return ValueError(
        f"{where}: found the shape {tuple(x.shape)}, expected the batch's {shard.rows} rows "
        "in the first dimension, or a multiple of them"
    )
