"""Reader and writer of the idx format of MNIST: big-endian sizes, then bytes, packed by gzip or not."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Literal

import numpy as np

from harness.data.official_files import path_of, unpacked
from harness.data.raw import Bytes
from harness.errors import DataError


def read(path: Path, dimensions: int) -> Bytes:
    """Return the array of bytes in `path`; raise DataError if it is no idx file of so many dimensions."""
    try:
        content = unpacked(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: no whole gzip file ({error}); replace it") from error
    magic = bytes((0, 0, 8, dimensions))  # 8 stands for unsigned bytes
    data_start = 4 + 4 * dimensions
    if content[:4] != magic or len(content) < data_start:
        raise DataError(
            f"{path}: begins with {content[:4]!r}, expected {magic!r} ({dimensions} dimensions); replace it"
        )
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, offset=4))
    data = np.frombuffer(content, np.uint8, offset=data_start)
    if data.size != math.prod(shape):
        raise DataError(f"{path}: has {data.size} bytes of data, but its header says {shape}; replace it")
    return data.reshape(shape)


def write(path: Path, array: Bytes) -> None:
    """Write `array` in the format of read(), with no time or name in the gzip header."""
    header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + array.tobytes(), compresslevel=9, mtime=0))


def read_split(folder: Path, split: Literal["train", "t10k"], num_classes: int) -> tuple[Bytes, Bytes]:
    """Return a split's images (N, rows, columns) and labels (N,), each label below `num_classes`."""
    images_path, labels_path = (
        path_of(folder, file) or folder / file
        for file in (f"{split}-images-idx3-ubyte.gz", f"{split}-labels-idx1-ubyte.gz")
    )
    images, labels = read(images_path, 3), read(labels_path, 1)
    if len(images) != len(labels):
        raise DataError(
            f"{labels_path}: has {len(labels)} labels, expected {len(images)} as {images_path.name}"
        )
    if labels.size and labels.max() >= num_classes:
        raise DataError(f"{labels_path}: has a label {labels.max()}, expected labels below {num_classes}")
    return images, labels
