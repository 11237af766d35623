"""Loading a dataset by name: official files become memory-mapped arrays, resized once, with a digest."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.data.cache import build, key, opened, resized
from harness.data.download import fetch
from harness.data.idx import Bytes, read_split
from harness.data.lock import locked
from harness.data.registry import DATASETS, Source, cache_folder, check, download_root, locate, places, roots
from harness.errors import DataError, nearest


@dataclass(frozen=True, eq=False)
class Split:
    """Images, uint8 (N, 1, S, S), and labels, uint8 (N,); both memory-mapped, for reading only."""

    images: Bytes
    labels: Bytes


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset's two splits; `digest` is the SHA-256 over their shapes and bytes."""

    name: str
    train: Split
    test: Split
    num_classes: int
    digest: str

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Return the shape of one image: (1, S, S)."""
        _, channels, rows, columns = self.train.images.shape
        return channels, rows, columns


def silent(_: str) -> None:
    """Ignore a message."""


def load(
    name: str,
    resize: int | None,
    data_dir: Path | None = None,
    env: Mapping[str, str] = os.environ,
    say: Callable[[str], None] = silent,
) -> Dataset:
    """Load a dataset, its images resized to `resize` x `resize` pixels (None: as they are).

    Its files are searched in `data_dir`, HARNESS_DATA and the user's cache folder, then downloaded. Any
    number of processes may call this at once: one downloads and resizes, the others wait.

    Raise DataError for an unknown name, a missing, damaged or wrong file, or a cache that cannot be written.
    """
    if name not in DATASETS:
        raise DataError(f"dataset: {name!r} is unknown; {nearest(name, DATASETS)}")
    source = DATASETS[name]
    try:
        folders = roots(data_dir, env)
        locate(source, folders)  # a damaged file is reported even when the cache could do without it
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}); make it readable") from error
    cache = cache_folder(env)
    folder = cache / "resized" / key(source, resize)
    found = opened(folder)
    if found is None:
        try:
            with locked(cache / f"{name}.lock", say):
                found = opened(folder) or build(folder, lambda: _make(source, resize, folders, env, say))
        except OSError as error:
            raise DataError(
                f"{error.filename or folder}: cannot be written ({error.strerror}); data is cached in "
                f"{cache}: make it writable and make room, or set XDG_CACHE_HOME to another folder"
            ) from error
    (train_images, train_labels, test_images, test_labels), digest = found
    train, test = Split(train_images, train_labels), Split(test_images, test_labels)
    return Dataset(name, train, test, source.num_classes, digest)


def prepared_digest(name: str, resize: int | None, env: Mapping[str, str] = os.environ) -> str:
    """Return the digest that the cached data say they have, without reading them; empty if there are none."""
    try:
        text = (cache_folder(env) / "resized" / key(DATASETS[name], resize) / "digest.json").read_text()
        return str(json.loads(text)["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def at_hand(
    name: str,
    resize: int | None,
    data_dir: Path | None = None,
    env: Mapping[str, str] = os.environ,
    say: Callable[[str], None] = silent,
) -> Dataset | None:
    """Load a dataset if that takes no download; return None if it does. Raise DataError as `load` does."""
    source = DATASETS[name]
    is_prepared = (cache_folder(env) / "resized" / key(source, resize)).is_dir()
    try:
        is_here = is_prepared or locate(source, roots(data_dir, env)) is not None
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}); make it readable") from error
    return load(name, resize, data_dir, env, say) if is_here else None


def _make(
    source: Source,
    resize: int | None,
    folders: list[Path],
    env: Mapping[str, str],
    say: Callable[[str], None],
) -> list[Bytes]:
    """Return images and labels of both splits, resized, from local or newly downloaded official files."""
    folder = locate(source, folders)
    if folder is None:
        folder = places(source, [download_root(env)])[0]
        fetch(source, folders, folder, say)
        check(source, folder)
    train_images, train_labels = read_split(folder, "train", source.num_classes)
    test_images, test_labels = read_split(folder, "t10k", source.num_classes)
    if resize is not None:
        say(f"resizing {source.name} to {resize} x {resize} pixels, once")
    return [resized(train_images, resize), train_labels, resized(test_images, resize), test_labels]
