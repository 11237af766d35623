"""A dataset as its kind reads it, before it is checked, split and resized."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class RawSplit:
    """One split as it was read: images (N, rows, columns) and labels (N,)."""

    images: Array
    labels: Array


@dataclass(frozen=True)
class Raw:
    """The splits of a dataset as they were read, and the names of its classes."""

    train: RawSplit
    test: RawSplit
    classes: tuple[str, ...]
