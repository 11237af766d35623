"""Mean and standard deviation that samples are normalized by, the same on every machine to the last bit."""

from __future__ import annotations

import math

import numpy as np

from harness.data.raw import Array
from harness.data.settings import DatasetSettings, Statistics
from harness.errors import DataError

_CHUNK = 1000  # samples that are counted at a time


def statistics(samples: Array) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation (of the population) of each channel, or feature.

    Those of bytes are of values in [0, 1]. What does not vary has the standard deviation 1.
    """
    mean, std = _of_bytes(samples) if samples.dtype == np.uint8 else _of_floats(samples)
    return mean, [each or 1.0 for each in std]


def _of_bytes(samples: Array) -> tuple[list[float], list[float]]:
    """Count how often each channel has each byte: what is summed are whole numbers."""
    counts = np.zeros((samples.shape[1], 256), np.int64)
    for start in range(0, len(samples), _CHUNK):
        for channel in range(len(counts)):
            counts[channel] += np.bincount(samples[start : start + _CHUNK, channel].ravel(), minlength=256)
    size = samples.size // samples.shape[1]
    sums = [sum(byte * each for byte, each in enumerate(count.tolist())) for count in counts]
    squares = [sum(byte**2 * each for byte, each in enumerate(count.tolist())) for count in counts]
    mean = [total / size / 255 for total in sums]
    pairs = zip(sums, squares, strict=True)
    return mean, [math.sqrt(size * square - total**2) / size / 255 for total, square in pairs]


def _of_floats(samples: Array) -> tuple[list[float], list[float]]:
    """Add rows one after the other in float64, then pixels exactly: no order depends on the machine."""
    size = samples.size // samples.shape[1]
    mean = [total / size for total in _sums(samples)]
    shift = np.reshape(mean, (-1, *[1] * (samples.ndim - 2)))
    return mean, [math.sqrt(total / size) for total in _sums(samples, shift)]


def _sums(samples: Array, shift: Array | None = None) -> list[float]:
    """Return each channel's sum, or that of the squared differences from `shift`."""
    totals = np.zeros(samples.shape[1:])
    for row in samples:
        totals += row if shift is None else (row - shift) ** 2
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
