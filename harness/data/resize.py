"""Bilinear resizing of images, as torchvision's Resize does it on PIL images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.data.raw import Bytes

if TYPE_CHECKING:
    from PIL.Image import Image


def resized(images: Bytes, size: int) -> Bytes:
    """Return `images` (N, channels, rows, columns) as (N, channels, size, size)."""
    from PIL import Image

    result = np.empty((*images.shape[:2], size, size), np.uint8)
    for index in np.ndindex(images.shape[:2]):
        result[index] = np.asarray(resized_image(Image.fromarray(images[index]), size))
    return result


def resized_image(image: Image, size: int) -> Image:
    """Return the image at size x size pixels."""
    from PIL import Image

    return image.resize((size, size), Image.Resampling.BILINEAR)
