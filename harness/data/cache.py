"""Cache of prepared data on disk, made once and shared by all processes of a machine (page cache)."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from harness.data.folders import Search, cache_folder
from harness.data.prepare import Chunks, Prepared
from harness.data.raw import Array
from harness.data.scaling import statistics
from harness.data.settings import DatasetSettings
from harness.errors import DataError

FORMAT = 1  # increase it when the same files and settings would give different arrays
ABOUT = "digest.json"


@dataclass(frozen=True)
class Cached:
    """Memory-mapped arrays by name, their digest, the classes, and the training samples' mean and std."""

    arrays: dict[str, Array]
    digest: str
    classes: tuple[str, ...]
    mean: list[float]
    std: list[float]


def folder_of(settings: DatasetSettings, search: Search) -> Path:
    """Return the cache folder of a dataset, whose name has a hash of what its content is made from."""
    made_of = [FORMAT, settings.identity(search), settings.resize]
    apart = {"name", "resize", "normalize", *settings.paths}
    if others := settings.model_dump(exclude=apart):
        made_of.append(others)
    digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()
    name = f"{settings.name}-{settings.resize or 'original'}-{digest[:16]}"
    return prepared_folder(search) / name


def prepared_folder(search: Search) -> Path:
    """Return the folder of all prepared data."""
    return cache_folder(search.env) / "resized"


def digest_of(arrays: Iterable[Array]) -> str:
    """Return the SHA-256 over shapes and bytes, and over types other than bytes, in the arrays' order."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(_head(array.shape, array.dtype))
        sha.update(array.data)
    return sha.hexdigest()


def _head(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    return f"{shape}{'' if dtype == np.uint8 else dtype.str}".encode()


def opened(folder: Path) -> Cached | None:
    """Return what is cached in the folder; None if it is absent or damaged."""
    try:
        about = json.loads((folder / ABOUT).read_text())
        # Copy-on-write: pages are shared until written to, and torch takes the array without a warning.
        arrays: dict[str, Array] = {
            name: np.lib.format.open_memmap(folder / f"{name}.npy", mode="c") for name in about["arrays"]
        }
        found = Cached(arrays, about["digest"], tuple(about["classes"]), about["mean"], about["std"])
        if digest_of(arrays.values()) != found.digest:
            return None
    except Exception:  # a damaged header can make numpy raise anything; then it is built again
        return None
    with contextlib.suppress(OSError):  # it may be another user's
        os.utime(folder / ABOUT)  # when it was last used
    return found


def build(folder: Path, make: Callable[[], Prepared]) -> Cached:
    """Write what `make` returns to `folder`, atomically, and open it; replace what is damaged there.

    Several processes may do so at once, without a lock: the first one's folder is used by all.

    Raise OSError if it cannot be written, DataError if it reads back differently.
    """
    prepared = make()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=".new-", ignore_cleanup_errors=True) as temporary:
        new = Path(temporary) / folder.name
        new.mkdir()
        _write(new, prepared)
        if opened(folder) is None:  # else another process was first
            _place(new, folder, prepared)
    found = opened(folder)
    if found is None:
        raise DataError(
            f"{folder}: reads back other than written; check the disk or set XDG_CACHE_HOME to another"
        )
    return found


def _write(folder: Path, prepared: Prepared) -> None:
    sha = hashlib.sha256()
    for name, chunks in prepared.arrays.items():
        _write_array(folder / f"{name}.npy", chunks, sha)
    mean, std = statistics(np.load(folder / "train_images.npy", mmap_mode="r"))
    about = {
        "digest": sha.hexdigest(),
        "arrays": list(prepared.arrays),
        "classes": prepared.classes,
        "mean": mean,
        "std": std,
    }
    with (folder / ABOUT).open("w") as text:
        json.dump(about, text)
        text.flush()
        os.fsync(text.fileno())


def _write_array(path: Path, chunks: Chunks, sha: hashlib._Hash) -> None:
    """Write an array part by part: not by a memory map, which ends the process where the disk is full."""
    sha.update(_head(chunks.shape, chunks.dtype))
    header = {"descr": chunks.dtype.str, "fortran_order": False, "shape": chunks.shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for part in chunks.parts():
            content = np.ascontiguousarray(part).data
            sha.update(content)
            file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _place(new: Path, folder: Path, prepared: Prepared) -> None:
    """Move the new arrays to `folder`; what else lies there stays."""
    if not folder.exists():
        try:
            new.rename(folder)
        except OSError:
            if not folder.is_dir():  # if it is, a process on another machine was first: use its work
                raise
        return
    for name in [*(f"{each}.npy" for each in prepared.arrays), ABOUT]:  # until the last one nobody opens them
        (new / name).replace(folder / name)
