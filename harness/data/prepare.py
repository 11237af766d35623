"""From data as they were read to arrays for training: split, labels from 0, channels first, resized."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.data.raw import Array, Images, Raw, RawSplit, Rows
from harness.data.resize import resized
from harness.data.settings import DatasetSettings, Validation
from harness.data.splits import stratified
from harness.errors import DataError, nearest, shown

CHUNK = 1000  # samples that are in memory at a time
_PARTS = ("train", "test", "validation")


@dataclass(frozen=True)
class Chunks:
    """An array in the making: its shape and type, and its rows, a part at a time."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    parts: Callable[[], Iterator[Array]]

    @classmethod
    def of(cls, array: Array) -> Chunks:
        """Return an array that is there."""
        return cls(array.shape, array.dtype, lambda: iter([array]))


@dataclass(frozen=True)
class Prepared:
    """Arrays in the making, such as `train_images`, and the names of the classes."""

    arrays: dict[str, Chunks]
    classes: tuple[str, ...]


def prepared(settings: DatasetSettings, raw: Raw, say: Callable[[str], None]) -> Prepared:
    """Prepare the data as the settings say; raise DataError for what cannot be prepared."""
    if settings.resize is not None:
        if len(raw.train.images.shape) == 2:
            raise _mistake(settings, "`resize`, but its samples are features, not images; leave it out")
        if raw.train.images.dtype != np.uint8:
            found = f"`resize`, but images of {raw.train.images.dtype}"
            raise _mistake(settings, f"{found}, expected bytes from 0 to 255; resize them before")
        say(f"resizing {settings.name} to {settings.resize} x {settings.resize} pixels, once")
    read, classes = _labelled(settings, raw)
    parts = _split(settings, read)
    arrays: dict[str, Chunks] = {}
    for name in (name for name in _PARTS if name in parts):
        part = parts[name]
        if not len(part.rows):
            raise _mistake(settings, f"no {name} sample, expected one at least")
        images = arrays[f"{name}_images"] = _images(part, settings.resize)
        arrays[f"{name}_labels"] = Chunks.of(part.labels)
        expected = arrays["train_images"].shape[1:]
        if images.shape[1:] != expected:
            found = f"{name} samples of shape {images.shape[1:]}"
            raise _mistake(settings, f"{found}, expected {expected} as in training")
    return Prepared(arrays, classes)


def _mistake(settings: DatasetSettings, found: str) -> DataError:
    return DataError(f"dataset {settings.title}: found {found}")


@dataclass(frozen=True)
class _Part:
    """Some rows of what was read, and their labels as numbers."""

    images: Images
    rows: Rows
    labels: Array


def _labelled(settings: DatasetSettings, raw: Raw) -> tuple[dict[str, _Part], tuple[str, ...]]:
    """Return the parts that were read, whole, and the classes."""
    if raw.classes:
        names: Array = np.arange(len(raw.classes))
        classes = raw.classes
    else:
        names = np.unique(raw.train.labels)
        classes = tuple(map(str, names))
    if len(classes) < 2:
        raise _mistake(settings, f"one class, {', '.join(classes)}, expected two or more")
    dtype = np.uint8 if len(classes) <= 256 else np.int64
    parts = {}
    for name, split in zip(_PARTS, (raw.train, raw.test, raw.validation), strict=True):
        if split is None:
            continue
        numbers = np.searchsorted(names, split.labels)
        unknown = np.flatnonzero(names[np.minimum(numbers, len(names) - 1)] != split.labels)
        if len(unknown):
            raise DataError(_unknown_label(split, int(unknown[0]), classes))
        parts[name] = _Part(split.images, np.arange(len(split.labels)), numbers.astype(dtype))
    return parts, classes


def _unknown_label(split: RawSplit, row: int, classes: tuple[str, ...]) -> str:
    label = split.labels[row].item()
    known = nearest(str(label), classes)
    return f"{split.place(row)}: found the label {shown(label)}, which no training sample has; {known}"


def _split(settings: DatasetSettings, read: dict[str, _Part]) -> dict[str, _Part]:
    """Return the parts, with those that are taken from the training samples."""
    split, train = settings.split_of(), read["train"]
    seed = split.seed if split else 0
    taken = {}
    if split:
        count = round(split.test * len(train.rows))
        train, taken["test"] = _divided(settings, train, count, seed, "split")
    if settings.validation:
        if "validation" in read:
            raise _mistake(settings, "`validation`, but its data have validation samples; leave it out")
        count = _count(settings.validation, len(train.rows))
        train, taken["validation"] = _divided(settings, train, count, seed, "validation")
    return {**read, **taken, "train": train}


def _count(validation: Validation, samples: int) -> int:
    return validation.count or round((validation.fraction or 0) * samples)


def _divided(settings: DatasetSettings, part: _Part, count: int, seed: int, key: str) -> tuple[_Part, _Part]:
    rows, labels = part.rows, part.labels
    if not 0 < count < len(rows):
        found = f"`{key}`, which takes {count} of {len(rows)} samples"
        raise _mistake(settings, f"{found}, expected at least one on either side")
    stay, taken = stratified(labels, count, seed)
    if len(np.unique(labels[stay])) < len(np.unique(labels)):
        raise _mistake(settings, f"`{key}`, which leaves a class without a training sample; take fewer")
    first, second = (_Part(part.images, rows[those], labels[those]) for those in (stay, taken))
    return first, second


def _images(part: _Part, resize: int | None) -> Chunks:
    """Return the samples of a part: (N, channels, rows, columns), or (N, features)."""
    images, rows = part.images, part.rows

    def made(some: Rows) -> Array:
        found = np.asarray(images[some])
        if found.ndim == 3:
            found = found[:, None]
        elif found.ndim == 4:
            found = found.transpose(0, 3, 1, 2)
        is_resized = resize is not None and found.shape[2:] != (resize, resize)
        return resized(found, resize) if is_resized and resize else np.ascontiguousarray(found)

    shape = made(rows[:1]).shape[1:]
    return Chunks(
        (len(rows), *shape),
        images.dtype,
        lambda: (made(rows[start : start + CHUNK]) for start in range(0, len(rows), CHUNK)),
    )
