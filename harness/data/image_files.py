"""Image files, decoded when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.raw import Array, Bytes
from harness.data.resize import resized_image
from harness.errors import DataError

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_THREADS = 4  # PIL decodes without the interpreter's lock
_GREY = ("1", "L")
_COLOUR = ("RGB", "P", "RGBA", "LA", "PA", "CMYK", "YCbCr")


@dataclass(frozen=True)
class ImageFiles:
    """Images of one mode, `L` or `RGB`, resized when they are decoded, or all of `size` (width, height)."""

    paths: Sequence[Path]
    mode: str
    resize: int | None
    size: tuple[int, int]

    @classmethod
    def of(cls, paths: Sequence[Path], resize: int | None) -> ImageFiles:
        """Look at all files' headers; raise DataError for one that is no image, or of another size."""
        sizes, modes = zip(*map(_header, paths), strict=True)
        if resize is None:
            for path, size in zip(paths, sizes, strict=True):
                if size != sizes[0]:
                    raise DataError(
                        f"{path}: found {size[0]} x {size[1]} pixels, expected {sizes[0][0]} x {sizes[0][1]} "
                        f"as {paths[0].name}; give `resize` to have all images resized"
                    )
        mode = "L" if all(mode in _GREY for mode in modes) else "RGB"
        return cls(paths, mode, resize, sizes[0])

    def some(self, start: int, stop: int) -> ImageFiles:
        """Return the files of these rows, decoded in the same way."""
        return ImageFiles(self.paths[start:stop], self.mode, self.resize, self.size)

    @property
    def shape(self) -> tuple[int, ...]:
        """Return (N, rows, columns, channels)."""
        width, height = (self.resize, self.resize) if self.resize else self.size
        return len(self.paths), height, width, len(self.mode)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return uint8."""
        return np.dtype(np.uint8)

    def __getitem__(self, rows: Array) -> Array:
        """Decode the images of these rows."""
        return stacked(lambda row: self._decoded(self.paths[row]), rows, self.shape)

    def _decoded(self, path: Path) -> Bytes:
        from PIL import Image

        try:
            with Image.open(path) as image:
                return pixels(image, self.mode, self.resize)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DataError(f"{path}: found no whole image ({error}), expected one; replace it") from None


def stacked(decode: Callable[[int], Bytes], rows: Array, shape: tuple[int, ...]) -> Bytes:
    """Return the decoded images of these rows, as (n, rows, columns, channels)."""
    with ThreadPoolExecutor(_THREADS) as pool:
        images = list(pool.map(decode, map(int, rows)))
    return np.stack(images).reshape(len(rows), *shape[1:])


def pixels(image: Any, mode: str, resize: int | None) -> Bytes:
    """Return a PIL image's pixels (rows, columns) or (rows, columns, channels)."""
    image = image if image.mode == mode else image.convert(mode)
    return np.asarray(resized_image(image, resize) if resize else image)


def _header(path: Path) -> tuple[tuple[int, int], str]:
    """Return an image's size and mode."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            size, mode = image.size, image.mode
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise DataError(f"{path}: found no image that can be read, expected one; replace it") from None
    if mode not in (*_GREY, *_COLOUR):
        raise DataError(f"{path}: found pixels of mode {mode}, expected 8 bits a channel; convert it")
    return size, mode
