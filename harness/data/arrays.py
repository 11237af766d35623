"""Check of arrays by name, as an .npz file or a user's callable gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from harness.data.raw import Array, Raw, RawSplit
from harness.data.settings import TestSplit
from harness.errors import DataError, nearest

_REQUIRED = ("x_train", "y_train")
_NAMES = (*_REQUIRED, "x_test", "y_test", "x_val", "y_val")
_CHUNK = 1000


def raw_of(arrays: Mapping[str, Any], where: str, split: TestSplit | None) -> Raw:
    """Return the splits in `arrays`, which come from `where`; raise DataError for the first mistake."""
    for name in arrays:
        if name not in _NAMES:
            raise DataError(f"{where}: found an array {name!r}; {nearest(name, _NAMES)}")
    wanted = set(_NAMES[:2] if split else _NAMES[:4]) | {
        name
        for pair in ("test", "val")
        if {f"x_{pair}", f"y_{pair}"} & set(arrays)
        for name in (f"x_{pair}", f"y_{pair}")
    }
    for name in (name for name in _NAMES if name in wanted and name not in arrays):
        found = ", ".join(arrays) or "none"
        hint = ", or `split`" if name in ("x_test", "y_test") and not split else ""
        raise DataError(f"{where}: found the arrays {found}, expected {name} too{hint}")
    if split and "x_test" in arrays:
        raise DataError(f"{where}: found x_test and `split`, expected one of the two; leave `split` out")
    train = _split(arrays, "train", where)
    others = [_split(arrays, part, where) if f"x_{part}" in arrays else None for part in ("test", "val")]
    for part, other in zip(("test", "val"), others, strict=True):
        if other:
            _check_alike(train, other, part, where)
    return Raw.of([train, *others])


def _split(arrays: Mapping[str, Any], part: str, where: str) -> RawSplit:
    x, y = f"x_{part}", f"y_{part}"
    samples, labels = _array(arrays[x], f"{where}: {x}"), _array(arrays[y], f"{where}: {y}")
    check_samples(samples, f"{where}: {x}")
    if labels.ndim != 1 or labels.dtype.kind not in "iuU":
        found = f"{labels.dtype} of shape {labels.shape}"
        raise DataError(f"{where}: {y}: found {found}, expected whole numbers or texts of shape (N,)")
    if len(labels) != len(samples):
        found = f"{len(labels)} labels"
        raise DataError(f"{where}: {y}: found {found}, expected {len(samples)}, one for each row of {x}")
    return RawSplit(samples, labels, lambda row: f"{where}: {y}[{row}]")


def _array(value: Any, where: str) -> Array:
    try:
        array = np.asarray(value)
    except Exception as error:  # whatever a user's type raises
        raise DataError(f"{where}: found {type(value).__name__}, expected an array ({error})") from None
    if array.dtype == object:
        raise DataError(f"{where}: found an array of objects, expected numbers or texts")
    return array.astype(str) if array.dtype.kind == "S" else array


def check_samples(samples: Array, where: str) -> None:
    """Raise DataError unless these are bytes or finite floats: images or features, one at least."""
    if not 2 <= samples.ndim <= 4 or 0 in samples.shape:
        raise DataError(
            f"{where}: found the shape {samples.shape}, expected (N, rows, columns, channels), "
            "(N, rows, columns) or (N, features), none of them 0"
        )
    if samples.dtype == np.uint8:
        return
    if samples.dtype.kind != "f" or samples.dtype.itemsize > 8:
        raise DataError(f"{where}: found {samples.dtype}, expected uint8 (0 to 255) or floats")
    for start in range(0, len(samples), _CHUNK):
        if len(bad := np.argwhere(~np.isfinite(samples[start : start + _CHUNK]))):
            first = [int(bad[0][0]) + start, *map(int, bad[0][1:])]
            raise DataError(f"{where}{first}: found {samples[tuple(first)]}, expected a finite number")


def _check_alike(train: RawSplit, other: RawSplit, part: str, where: str) -> None:
    """Raise DataError unless both splits have values and labels of one type."""
    types = [
        (split.images.dtype, "text" if split.labels.dtype.kind == "U" else "a whole number")
        for split in (train, other)
    ]
    for name, found, expected in zip("xy", types[1], types[0], strict=True):
        if found != expected:
            raise DataError(f"{where}: {name}_{part}: found {found}, expected {expected} as in {name}_train")
