"""Augmentations that resample the image through an affine map: rotation and RandAugment's operations.

Each takes settings, images (N, C, H, W) and random numbers from [0, 1), float64 (N, draws).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from harness.config.augmentations import RandAugmentAffine, Rotation

# RandAugment's strongest shear, translation as a fraction of the side, and rotation in degrees.
_SHEAR, _TRANSLATION, _DEGREES, _MAGNITUDES = 0.3, 150 / 331, 30.0, 30


def rotation(settings: Rotation, images: Tensor, draws: Tensor) -> Tensor:
    """Rotate each image by an angle of its own, counterclockwise if it is positive."""
    angles = (2 * draws[:, 0] - 1) * math.radians(settings.degrees)
    return _resampled(images, _rotations(angles))


def rand_augment_affine(settings: RandAugmentAffine, images: Tensor, draws: Tensor) -> Tensor:
    """Apply `num_ops` random operations to each image, composed to one map."""
    which, signs = torch.split(draws, settings.num_ops, 1)
    maps = _operations(settings.magnitude / _MAGNITUDES, images, 1 - 2 * (signs < 0.5).double())
    chosen = (which * maps.shape[2]).long()[:, :, None, None, None].expand(-1, -1, -1, 3, 3)
    first, *others = maps.gather(2, chosen)[:, :, 0].unbind(1)
    for each in others:
        first = (first[:, :, :, None] * each[:, None]).sum(2)
    return _resampled(images, first)


def _operations(strength: float, images: Tensor, signs: Tensor) -> Tensor:
    """Return the maps of all operations at a strength and with the signs (N, K); (N, K, operations, 3, 3).

    A map leads from a place in the result to one in the image, in pixels from the centre. A shear leaves the
    top or the left edge where it is, and a translation is of whole pixels, as in torchvision's RandAugment.
    """
    height, width = images.shape[2:]
    shears = signs * (strength * _SHEAR)
    down, right = (signs * int(strength * _TRANSLATION * side) for side in (height, width))
    none, one = torch.zeros_like(signs), torch.ones_like(signs)
    operations = (
        _maps(one, none, none, none, one, none),
        _maps(one, shears, shears * (height / 2), none, one, none),
        _maps(one, none, none, shears, one, shears * (width / 2)),
        _maps(one, none, right, none, one, none),
        _maps(one, none, none, none, one, down),
        _rotations(signs * (strength * math.radians(_DEGREES))),
    )
    return torch.stack(operations, 2)


def _rotations(angles: Tensor) -> Tensor:
    cos, sin, none = angles.cos(), angles.sin(), torch.zeros_like(angles)
    return _maps(cos, -sin, none, sin, cos, none)


def _maps(*rows: Tensor) -> Tensor:
    """Return maps (..., 3, 3) of the six numbers of their first two rows, each (...)."""
    none, one = torch.zeros_like(rows[0]), torch.ones_like(rows[0])
    return torch.stack((*rows, none, none, one), -1).view(*none.shape, 3, 3)


def _resampled(images: Tensor, maps: Tensor) -> Tensor:
    """Take each pixel from where the map leads, bilinear; zero outside of the image.

    No matrix product computes the places: a GPU may round its factors to TF32.
    """
    height, width = images.shape[2:]
    x = torch.arange(width, device=images.device, dtype=images.dtype) - (width - 1) / 2
    y = (torch.arange(height, device=images.device, dtype=images.dtype) - (height - 1) / 2)[:, None]
    rows = maps.to(images.dtype)[:, :2, :, None, None].unbind(1)
    across, down = (row[:, 0] * x + row[:, 1] * y + row[:, 2] for row in rows)
    grid = torch.stack((across * (2 / width), down * (2 / height)), -1)
    return functional.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
