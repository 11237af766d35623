"""A tiny data set of every kind, made of a few files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.data import DatasetSettings, named
from harness.data.idx import write
from harness.data.kinds.official import Official
from harness.data.kinds.sample import Sample
from harness.data.official_files import FILES
from harness.data.official_sources import SOURCES, Source


def _official(folder: Path) -> DatasetSettings:
    """Write official files of "mnist"; whoever calls this puts SOURCES back."""
    rng = np.random.default_rng(0)
    for file, count in zip(FILES, (40, 40, 20, 20), strict=True):
        shape = (count, 6, 6) if "images" in file else (count,)
        write(folder / file, rng.integers(0, 10, shape, np.uint8))
    first, second, third, fourth = (hashlib.md5((folder / f).read_bytes()).hexdigest() for f in FILES)
    SOURCES["mnist"] = Source("mnist", "MNIST", (first, second, third, fourth))
    return named("mnist", 8)


# Makes the files in a folder, which is the current one and the one to search; returns the settings.
TINY: dict[type[DatasetSettings], Callable[[Path], DatasetSettings]] = {
    Official: _official,
    Sample: lambda _: named("kmnist_sample", 8),
}
