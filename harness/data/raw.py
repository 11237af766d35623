"""A dataset as its kind reads it, before it is split and resized."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]


class Images(Protocol):
    """Samples by row, as an array or decoded when they are asked for.

    Images are (N, rows, columns) or (N, rows, columns, channels), features (N, features).
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of all samples."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return uint8, from 0 to 255, or a floating-point type."""

    def __getitem__(self, rows: Any) -> Array:
        """Return the samples of these rows."""


def _row(row: int) -> str:
    return f"row {row}"


@dataclass(frozen=True)
class RawSplit:
    """One split as it was read, with the label of each sample, a whole number or text.

    `place` names a row of it for messages.
    """

    images: Images
    labels: Array
    place: Callable[[int], str] = _row


@dataclass(frozen=True)
class Raw:
    """The splits of a dataset as they were read; without a test split the training samples are split.

    Labels are the numbers of `classes`, or without these the names of the classes themselves.
    """

    train: RawSplit
    test: RawSplit | None = None
    validation: RawSplit | None = None
    classes: tuple[str, ...] = ()

    @classmethod
    def of(cls, splits: Sequence[RawSplit | None], classes: tuple[str, ...] = ()) -> Raw:
        """Return the data of a training split, a test split and a validation split, if there are any."""
        train, test, validation = [*splits, None, None][:3]
        assert train is not None
        return cls(train, test, validation, classes)
