"""Loading a dataset by its settings: what its kind reads becomes memory-mapped arrays with a digest."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.data.cache import ABOUT, Prepared, build, folder_of, opened
from harness.data.folders import Search, cache_folder
from harness.data.lock import locked
from harness.data.raw import Bytes
from harness.data.resize import resized
from harness.data.settings import DatasetSettings
from harness.errors import DataError


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
    settings: DatasetSettings,
    data_dir: Path | None = None,
    env: Mapping[str, str] = os.environ,
    say: Callable[[str], None] = silent,
) -> Dataset:
    """Load a dataset as its settings say, prepared once and cached.

    Files are searched in `data_dir`, HARNESS_DATA and the user's cache folder, then downloaded. Any number of
    processes may call this at once: one downloads and prepares, the others wait.

    Raise DataError for a missing, damaged or wrong file, or a cache that cannot be written.
    """
    search = Search(data_dir, env, say)
    with _reading():
        settings.is_here(search)  # a damaged file is reported even when the cache could do without it
        folder = folder_of(settings, search)
    found = opened(folder)
    if found is None:
        cache = cache_folder(env)
        try:
            with locked(cache / f"{settings.name}.lock", say):
                found = opened(folder) or build(folder, lambda: _prepared(settings, search))
        except OSError as error:
            raise DataError(
                f"{error.filename or folder}: cannot be written ({error.strerror}); data is cached in "
                f"{cache}: make it writable and make room, or set XDG_CACHE_HOME to another folder"
            ) from error
    prepared, digest = found
    train, test = (
        Split(prepared.arrays[f"{part}_images"], prepared.arrays[f"{part}_labels"])
        for part in ("train", "test")
    )
    return Dataset(settings.name, train, test, len(prepared.classes), digest)


def prepared_digest(
    settings: DatasetSettings, data_dir: Path | None = None, env: Mapping[str, str] = os.environ
) -> str:
    """Return the digest that the cached data say they have, without reading them; empty if there are none."""
    try:
        text = (folder_of(settings, Search(data_dir, env, silent)) / ABOUT).read_text()
        return str(json.loads(text)["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def at_hand(
    settings: DatasetSettings,
    data_dir: Path | None = None,
    env: Mapping[str, str] = os.environ,
    say: Callable[[str], None] = silent,
) -> Dataset | None:
    """Load a dataset if that takes no download; return None if it does. Raise DataError as `load` does."""
    search = Search(data_dir, env, say)
    with _reading():
        is_here = folder_of(settings, search).is_dir() or settings.is_here(search)
    return load(settings, data_dir, env, say) if is_here else None


@contextmanager
def _reading() -> Iterator[None]:
    """Raise DataError for a file that cannot be read."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}); make it readable") from error


def _prepared(settings: DatasetSettings, search: Search) -> Prepared:
    """Return the arrays of a dataset, read and resized."""
    raw, size = settings.read(search), settings.resize
    if size is not None:
        search.say(f"resizing {settings.name} to {size} x {size} pixels, once")
    arrays = {
        "train_images": resized(raw.train.images, size),
        "train_labels": raw.train.labels,
        "test_images": resized(raw.test.images, size),
        "test_labels": raw.test.labels,
    }
    return Prepared(arrays, raw.classes)
