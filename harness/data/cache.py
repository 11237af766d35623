"""Cache of prepared data on disk, made once and shared by all processes of a machine (page cache)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from harness.data.folders import Search, cache_folder
from harness.data.raw import Array
from harness.data.settings import DatasetSettings
from harness.errors import DataError

FORMAT = 1  # increase it when the same files and settings would give different arrays
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
ABOUT = "digest.json"


@dataclass(frozen=True)
class Prepared:
    """Arrays by their names in ARRAYS, ready for training, and the names of the classes."""

    arrays: Mapping[str, Array]
    classes: tuple[str, ...]


def folder_of(settings: DatasetSettings, search: Search) -> Path:
    """Return the cache folder of a dataset, whose name has a hash of what its content is made from."""
    made_of = json.dumps([FORMAT, settings.identity(search), settings.resize]).encode()
    name = f"{settings.name}-{settings.resize or 'original'}-{hashlib.sha256(made_of).hexdigest()[:16]}"
    return cache_folder(search.env) / "resized" / name


def digest_of(arrays: Iterable[Array]) -> str:
    """Return the SHA-256 over shapes and bytes, in the order of ARRAYS."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(str(array.shape).encode())
        sha.update(array.data)
    return sha.hexdigest()


def opened(folder: Path) -> tuple[Prepared, str] | None:
    """Return the cached arrays, memory-mapped, with their digest; None if they are absent or damaged."""
    try:
        about = json.loads((folder / ABOUT).read_text())
        # Copy-on-write: pages are shared until written to, and torch takes the array without a warning.
        arrays = {name: np.lib.format.open_memmap(folder / f"{name}.npy", mode="c") for name in ARRAYS}
        prepared = Prepared(arrays, tuple(about["classes"]))
        return (prepared, about["digest"]) if digest_of(arrays.values()) == about["digest"] else None
    except Exception:  # a damaged header can make numpy raise anything; then it is built again
        return None


def build(folder: Path, make: Callable[[], Prepared]) -> tuple[Prepared, str]:
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
            _place(new, folder)
    found = opened(folder)
    if found is None:
        raise DataError(
            f"{folder}: reads back other than written; check the disk or set XDG_CACHE_HOME to another"
        )
    return found


def _write(folder: Path, prepared: Prepared) -> None:
    for name, array in prepared.arrays.items():
        with (folder / f"{name}.npy").open("wb") as file:
            np.save(file, array)
            file.flush()
            os.fsync(file.fileno())
    with (folder / ABOUT).open("w") as text:
        json.dump({"digest": digest_of(prepared.arrays.values()), "classes": prepared.classes}, text)
        text.flush()
        os.fsync(text.fileno())


def _place(new: Path, folder: Path) -> None:
    """Move the new arrays to `folder`; what else lies there stays."""
    if not folder.exists():
        try:
            new.rename(folder)
        except OSError:
            if not folder.is_dir():  # if it is, a process on another machine was first: use its work
                raise
        return
    for name in [*(f"{each}.npy" for each in ARRAYS), ABOUT]:  # until the last one nobody opens them
        (new / name).replace(folder / name)
