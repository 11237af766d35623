"""Augmentation of an image's colours; values stay in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.config.augmentations import ColorJitter

_GREY = (0.2989, 0.587, 0.114)  # torchvision's


def color_jitter(settings: ColorJitter, images: Tensor, draws: Tensor) -> Tensor:
    """Change images (N, 1 or 3, H, W) by factors that float64 (N, 4) from [0, 1) give."""
    brightness, contrast, saturation, hue = draws.to(images.dtype)[:, :, None, None, None].unbind(1)
    if settings.brightness:
        images = _blended(images, torch.zeros_like(images), _factor(brightness, settings.brightness))
    if settings.contrast:
        mean = _grey(images).mean((1, 2, 3), keepdim=True)
        images = _blended(images, mean, _factor(contrast, settings.contrast))
    if settings.saturation:
        images = _blended(images, _grey(images), _factor(saturation, settings.saturation))
    if settings.hue:
        images = _turned(images, (2 * hue - 1) * settings.hue)
    return images


def _factor(draws: Tensor, change: float) -> Tensor:
    low, high = max(0.0, 1 - change), 1 + change
    return draws * (high - low) + low


def _blended(images: Tensor, others: Tensor, factor: Tensor) -> Tensor:
    return (factor * images + (1 - factor) * others).clamp(0, 1)


def _grey(images: Tensor) -> Tensor:
    if images.shape[1] == 1:
        return images
    red, green, blue = (weight * part for weight, part in zip(_GREY, images.unbind(1), strict=True))
    return (red + green + blue)[:, None]


def _turned(images: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue by a fraction of its circle; value and chroma of HSV stay."""
    red, green, blue = images.unbind(1)
    value, low, turn = images.amax(1), images.amin(1), turn[:, 0]
    chroma = value - low
    by = chroma.masked_fill(chroma == 0, 1)
    sixth = torch.where(
        value == red,
        (green - blue) / by,
        torch.where(value == green, 2 + (blue - red) / by, 4 + (red - green) / by),
    )
    turned = sixth + 6 * turn
    # The distance of the hue from the middle of the sixths in which a channel is lowest.
    distances = [((turned + offset) % 6 - 2).abs() for offset in (5, 3, 1)]
    return torch.stack([value - chroma * (2 - each).clamp(0, 1) for each in distances], 1)
