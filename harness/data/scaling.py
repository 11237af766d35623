"""Mean and standard deviation that samples are normalized by, the same on every machine to the last bit."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from harness.data.raw import Array
from harness.data.settings import DatasetSettings, Statistics
from harness.errors import DataError

_CHUNK = 1000


def statistics(samples: Array) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation (of the population) of each channel, or feature.

    Those of bytes are of values in [0, 1]. What does not vary has the standard deviation 1. Rows are added
    one after the other in float64, then pixels exactly: no order depends on the machine.
    """
    unit = 255 if samples.dtype == np.uint8 else 1
    count = math.prod(samples.shape) // samples.shape[1]
    mean = np.array([total / count for total in _sums(samples, np.zeros(samples.shape[1]), power=1)])
    squares = _sums(samples, mean, power=2)
    std = [math.sqrt(total / count) / unit or 1.0 for total in squares]
    return [float(each) / unit for each in mean], std


def _sums(samples: Array, mean: npt.NDArray[np.float64], *, power: int) -> list[float]:
    """Return the sum of (sample - mean) ** power for each channel, or feature."""
    totals = np.zeros(samples.shape[1:])
    shift = mean.reshape(-1, *[1] * (samples.ndim - 2))
    for start in range(0, len(samples), _CHUNK):
        for row in samples[start : start + _CHUNK].astype(np.float64):
            totals += (row - shift) ** power
    return [math.fsum(channel.ravel()) for channel in totals]


def scaling_of(
    settings: DatasetSettings, mean: list[float], std: list[float]
) -> tuple[list[float], list[float]] | None:
    """Return the mean and standard deviation to normalize by, given the dataset's; None for neither."""
    given = settings.normalize
    if not isinstance(given, Statistics):
        return (mean, std) if given else None
    for key, values in (("mean", given.mean), ("std", given.std)):
        if len(values) not in (1, len(mean)):
            raise DataError(
                f"dataset {settings.title}: normalize.{key}: found {len(values)} values, expected one or "
                f"one for each of the data's {len(mean)} channels or features"
            )
    return given.mean, given.std
