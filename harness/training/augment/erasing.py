"""Augmentations that set a rectangle to zero, and the masks of rectangles.

Each takes settings, images (N, C, H, W) and random numbers from [0, 1), float64 (N, draws).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from harness.config.augmentations import Cutout, RandomErasing

ATTEMPTS = 10  # of random_erasing to find a rectangle that fits, as torchvision's


def cutout(settings: Cutout, images: Tensor, draws: Tensor) -> Tensor:
    """Erase a square around a random pixel of each image."""
    height, width = images.shape[2:]
    top = (draws[:, 0] * height).long() - settings.size // 2
    left = (draws[:, 1] * width).long() - settings.size // 2
    return images.masked_fill(rectangles(images, top, top + settings.size, left, left + settings.size), 0)


def random_erasing(settings: RandomErasing, images: Tensor, draws: Tensor) -> Tensor:
    """Erase the first of some random rectangles that is smaller than the image, if there is one."""
    height, width = images.shape[2:]
    (is_erased, down, right), (areas, ratios) = draws[:, :3].T, draws[:, 3:].T.view(2, ATTEMPTS, -1)
    area = height * width * _between(areas, *settings.scale)
    ratio = _between(ratios, *map(math.log, settings.ratio)).exp()
    rows, columns = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
    fits = (rows < height) & (columns < width)
    first = fits.int().argmax(0, keepdim=True)
    rows, columns = (each.gather(0, first)[0] for each in (rows, columns))
    top, left = (down * (height - rows + 1)).long(), (right * (width - columns + 1)).long()
    is_inside = rectangles(images, top, top + rows, left, left + columns)
    is_erased = fits.any(0) & (is_erased < settings.p)
    return images.masked_fill(is_inside & is_erased[:, None, None, None], 0)


def rectangles(images: Tensor, top: Tensor, bottom: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Return which pixels are within each image's rectangle (N,), its ends excluded; bool (N, 1, H, W)."""
    rows, columns = (torch.arange(side, device=images.device) for side in images.shape[2:])
    is_in_rows = (rows >= top[:, None]) & (rows < bottom[:, None])
    is_in_columns = (columns >= left[:, None]) & (columns < right[:, None])
    return (is_in_rows[:, :, None] & is_in_columns[:, None, :])[:, None]


def _between(draws: Tensor, low: float, high: float) -> Tensor:
    return draws * (high - low) + low
