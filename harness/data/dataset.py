"""Loading a dataset by its settings: what its kind reads becomes memory-mapped arrays with a digest."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.data.cache import ABOUT, Cached, build, folder_of, opened
from harness.data.cache_size import prune
from harness.data.folders import Search, cache_folder
from harness.data.lock import locked
from harness.data.prepare import Prepared, prepared
from harness.data.raw import Array
from harness.data.scaling import scaling_of
from harness.data.settings import DatasetSettings
from harness.errors import DataError


@dataclass(frozen=True, eq=False)
class Split:
    """Samples and their labels (N,) from 0, memory-mapped, for reading only.

    Samples are images (N, channels, rows, columns) or features (N, features); bytes, or floats as they are.
    """

    images: Array
    labels: Array


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset's splits; `digest` is the SHA-256 over their shapes and bytes.

    `scaling` is the mean and the standard deviation, one for all or one a channel or feature, that samples
    are normalized by.
    """

    name: str
    train: Split
    test: Split
    num_classes: int
    digest: str
    validation: Split | None = None
    classes: tuple[str, ...] = ()
    scaling: tuple[list[float], list[float]] | None = None

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Return the shape of one sample: (channels, rows, columns), or (features,)."""
        return self.train.images.shape[1:]

    def problem_of_validation(self) -> str:
        """Say that it has no validation samples, and how to get some; nothing if it has."""
        if self.validation is not None:
            return ""
        return (
            f"{self.name} has no validation samples to go by; hold some out, as by "
            "`dataset: {validation: {fraction: 0.1}}`"
        )


def silent(_: str) -> None:
    """Ignore a message."""


def load(
    settings: DatasetSettings,
    data_dir: Path | None = None,
    env: Mapping[str, str] = os.environ,
    say: Callable[[str], None] = silent,
    folder: Path = Path(),
) -> Dataset:
    """Load a dataset as its settings say, prepared once and cached.

    Datasets by name are searched in `data_dir`, HARNESS_DATA and the user's cache folder, then downloaded;
    paths in the settings are relative to `folder`. Any number of processes may call this at once: one
    downloads and prepares, the others wait.

    Raise DataError for a missing, damaged or wrong file, or a cache that cannot be written.
    """
    search = Search(data_dir, env, say, folder)
    with _reading():
        settings.is_here(search)  # a damaged file is reported even when the cache could do without it
        place = folder_of(settings, search)
    found = opened(place)
    if found is None:
        cache = cache_folder(env)
        try:
            with locked(cache / f"{settings.name}.lock", say):
                found = opened(place) or build(place, lambda: _prepared(settings, search))
                prune(place.parent, env)
        except OSError as error:
            raise DataError(
                f"{error.filename or place}: cannot be written ({error.strerror}); data is cached in "
                f"{cache}: make it writable and make room, or set XDG_CACHE_HOME to another folder"
            ) from error
    return _dataset(settings, found)


def _dataset(settings: DatasetSettings, cached: Cached) -> Dataset:
    train, test, validation = (
        Split(cached.arrays[f"{part}_images"], cached.arrays[f"{part}_labels"])
        if f"{part}_images" in cached.arrays
        else None
        for part in ("train", "test", "validation")
    )
    assert train is not None
    assert test is not None
    scaling = scaling_of(settings, cached.mean, cached.std)
    classes = cached.classes
    return Dataset(settings.title, train, test, len(classes), cached.digest, validation, classes, scaling)


def prepared_digest(
    settings: DatasetSettings,
    data_dir: Path | None = None,
    env: Mapping[str, str] = os.environ,
    folder: Path = Path(),
) -> str:
    """Return the digest that the cached data say they have, without reading them; empty if there are none."""
    try:
        text = (folder_of(settings, Search(data_dir, env, silent, folder)) / ABOUT).read_text()
        return str(json.loads(text)["digest"])
    except (OSError, ValueError, KeyError, TypeError, DataError):
        return ""


def at_hand(
    settings: DatasetSettings,
    data_dir: Path | None = None,
    env: Mapping[str, str] = os.environ,
    say: Callable[[str], None] = silent,
    folder: Path = Path(),
) -> Dataset | None:
    """Load a dataset if that takes no download and runs no code of a user's; return None if it does.

    Raise DataError as `load` does.
    """
    search = Search(data_dir, env, say, folder)
    with _reading():
        is_here = folder_of(settings, search).is_dir() or settings.is_here(search)
    return load(settings, data_dir, env, say, folder) if is_here else None


@contextmanager
def _reading() -> Iterator[None]:
    """Raise DataError for a file that cannot be read."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}); make it readable") from error


def _prepared(settings: DatasetSettings, search: Search) -> Prepared:
    return prepared(settings, settings.read(search), search.say)
