"""Names of a dataset's four official files: as they are published, unpacked, or as Kaggle has them."""

from __future__ import annotations

import gzip
from pathlib import Path

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)

_GZIP = b"\x1f\x8b"


def path_of(folder: Path, file: str) -> Path | None:
    """Return the path of an official file in `folder`, under whichever name; None if it is not there."""
    if (folder / file).exists():
        return folder / file
    unpacked = file.removesuffix(".gz")
    dotted = unpacked.replace("-idx", ".idx")
    inside = (f"{outer}/{inner}" for outer in (unpacked, dotted) for inner in (unpacked, dotted))
    names = (unpacked, dotted, f"{dotted}.gz", *inside)
    return next((folder / name for name in names if (folder / name).is_file()), None)


def unpacked(content: bytes) -> bytes:
    """Return a file's content, unpacked if it is a gzip file; raise OSError, EOFError or zlib.error."""
    return gzip.decompress(content) if content.startswith(_GZIP) else content
