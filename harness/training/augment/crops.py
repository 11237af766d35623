"""Augmentations that move whole pixels: crops of a padded image, shifts and flips.

Each takes settings, images (N, C, H, W) and random numbers from [0, 1), float64 (N, draws).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from harness.config.augmentations import Flip, PadCrop, Shift


def pad_crop(settings: PadCrop, images: Tensor, draws: Tensor) -> Tensor:
    """Crop each padded image at one of the (2 * padding + 1) ** 2 places."""
    padding = settings.padding
    padded = functional.pad(images, [padding] * 4, mode=settings.padding_mode)
    top, left = (draws * (2 * padding + 1)).long().unbind(1)
    return _windows(padded, top, left, images.shape[2:])


def shift(settings: Shift, images: Tensor, draws: Tensor) -> Tensor:
    """Shift each image by up to a fraction of its height and width, rounded as torchvision's RandomAffine."""
    most = [settings.fraction * side for side in images.shape[2:]]
    down, right = (
        (2 * part - 1).mul(limit).round().long() for part, limit in zip(draws.T, most, strict=True)
    )
    rows, columns = (round(each) for each in most)
    padded = functional.pad(images, [columns, columns, rows, rows])
    return _windows(padded, rows - down, columns - right, images.shape[2:])


def flip(settings: Flip, images: Tensor, draws: Tensor) -> Tensor:
    """Flip some of the images."""
    is_flipped = draws[:, 0] < settings.p
    flipped = images.flip(3 if settings.direction == "horizontal" else 2)
    return torch.where(is_flipped[:, None, None, None], flipped, images)


def _windows(images: Tensor, top: Tensor, left: Tensor, size: torch.Size) -> Tensor:
    """Cut a window of a size out of each image, at its own top and left (N,)."""
    n, channels, _, width = images.shape
    rows = top[:, None] + torch.arange(size[0], device=images.device)
    columns = left[:, None] + torch.arange(size[1], device=images.device)
    strips = images.gather(2, rows[:, None, :, None].expand(n, channels, size[0], width))
    return strips.gather(3, columns[:, None, None, :].expand(n, channels, *size))
