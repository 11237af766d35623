"""Augmentations that mix each sample with a partner; both return the samples and each one's own share (N,).

Each takes settings, samples and their partners, random numbers from [0, 1), float64 (N, draws), and the
quantiles of the shares' distribution.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from harness.config.augmentations import CutMix, MixUp
from harness.training.augment.erasing import rectangles

_QUANTILES = 1 << 16


@functools.cache
def quantiles(alpha: float) -> Tensor:
    """Return 65,536 quantiles of Beta(alpha, alpha), at the middles of equal steps; float64."""
    from scipy.special import betaincinv  # its import takes 0.1 s, and few trials mix

    return torch.from_numpy(betaincinv(alpha, alpha, (np.arange(_QUANTILES) + 0.5) / _QUANTILES))


def mixup(
    settings: MixUp, samples: Tensor, partners: Tensor, draws: Tensor, table: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the mean of sample (N, ...) and partner, weighted by the share."""
    share = _shares(settings, draws, table).to(samples.dtype)
    weight = share.view(-1, *[1] * (samples.dim() - 1))
    return weight * samples + (1 - weight) * partners, share


def cutmix(
    settings: CutMix, samples: Tensor, partners: Tensor, draws: Tensor, table: Tensor
) -> tuple[Tensor, Tensor]:
    """Put a rectangle of the partner into the image (N, C, H, W), clipped at the edges; share by area."""
    height, width = samples.shape[2:]
    half = (1 - _shares(settings, draws, table)).sqrt() / 2
    half_height, half_width = (half * height).long(), (half * width).long()
    middle, centre = (draws[:, 2] * height).long(), (draws[:, 3] * width).long()
    top, bottom = ((middle + each).clamp(0, height) for each in (-half_height, half_height))
    left, right = ((centre + each).clamp(0, width) for each in (-half_width, half_width))
    mixed = torch.where(rectangles(samples, top, bottom, left, right), partners, samples)
    area = (bottom - top) * (right - left)
    return mixed, (1 - area.double() / (height * width)).to(samples.dtype)


def _shares(settings: MixUp | CutMix, draws: Tensor, table: Tensor) -> Tensor:
    """Return each sample's share, 1 where it is not mixed; float64 (N,)."""
    shares = table.index_select(0, (draws[:, 1] * len(table)).long())
    return shares.masked_fill(draws[:, 0] >= settings.p, 1)
