"""Cache of resized images on disk, made once and shared by all processes of a machine (page cache)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from harness.data.idx import Bytes
from harness.data.registry import Source
from harness.errors import DataError

FORMAT = 1  # increase it when the same files and size would give different arrays
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


def key(source: Source, resize: int | None) -> str:
    """Return the name of the cache folder, with a hash of what its content is made from."""
    made_of = json.dumps([FORMAT, source.md5s, resize]).encode()
    return f"{source.name}-{resize or 'original'}-{hashlib.sha256(made_of).hexdigest()[:16]}"


def digest_of(arrays: Sequence[Bytes]) -> str:
    """Return the sha256 over shapes and bytes, in the order of ARRAYS."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(str(array.shape).encode())
        sha.update(array.data)
    return sha.hexdigest()


def resized(images: Bytes, size: int | None) -> Bytes:
    """Return `images` (N, rows, columns) as (N, 1, size, size), resized as by torchvision's Resize."""
    if size is None:
        return images[:, None]
    from PIL import Image

    bilinear = Image.Resampling.BILINEAR
    result = np.empty((len(images), 1, size, size), np.uint8)
    for index, image in enumerate(images):
        result[index, 0] = np.asarray(Image.fromarray(image).resize((size, size), bilinear))
    return result


def opened(folder: Path) -> tuple[list[Bytes], str] | None:
    """Return the cached arrays, memory-mapped, with their digest; None if they are absent or damaged."""
    try:
        digest = json.loads((folder / "digest.json").read_text())["digest"]
        # Copy-on-write: pages are shared until written to, and torch takes the array without a warning.
        arrays: list[Bytes] = [np.lib.format.open_memmap(folder / f"{name}.npy", mode="c") for name in ARRAYS]
        return (arrays, digest) if digest_of(arrays) == digest else None
    except Exception:  # a damaged header can make numpy raise anything; then it is built again
        return None


def _place(new: Path, folder: Path) -> None:
    """Move the new arrays to `folder`; what else lies there stays."""
    if not folder.exists():
        try:
            new.rename(folder)
        except OSError:
            if not folder.is_dir():  # if it is, a process on another machine was first: use its work
                raise
        return
    for name in [*(f"{each}.npy" for each in ARRAYS), "digest.json"]:  # until the last one nobody opens them
        (new / name).replace(folder / name)


def build(folder: Path, make: Callable[[], Sequence[Bytes]]) -> tuple[list[Bytes], str]:
    """Write the arrays that `make` returns to `folder`, atomically, and open it; replace damaged ones there.

    Several processes may do so at once, without a lock: the first one's folder is used by all.

    Raise OSError if they cannot be written, DataError if they read back differently.
    """
    arrays = make()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=".new-", ignore_cleanup_errors=True) as temporary:
        new = Path(temporary) / folder.name
        new.mkdir()
        for name, array in zip(ARRAYS, arrays, strict=True):
            with (new / f"{name}.npy").open("wb") as file:
                np.save(file, array)
                file.flush()
                os.fsync(file.fileno())
        with (new / "digest.json").open("w") as text:
            json.dump({"digest": digest_of(arrays)}, text)
            text.flush()
            os.fsync(text.fileno())
        if opened(folder) is None:  # else another process was first
            _place(new, folder)
    found = opened(folder)
    if found is None:
        raise DataError(
            f"{folder}: reads back other than written; check the disk or set XDG_CACHE_HOME to another"
        )
    return found
