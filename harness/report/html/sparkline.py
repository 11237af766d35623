"""Sparklines: small curves of one trial, as SVG paths."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

WIDTH, HEIGHT = 120, 36
_EDGE = 2  # so that lines at the bounds are not cut
_MOST_POINTS = 40


@dataclass(frozen=True)
class Bounds:
    """Lowest and highest value of a drawing."""

    low: float
    high: float

    @classmethod
    def of(cls, curves: Iterable[Sequence[float]]) -> Bounds | None:
        """Return the bounds of all finite values; None if there are none."""
        values = [value for curve in curves for value in curve if math.isfinite(value)]
        return cls(min(values), max(values)) if values else None


def path(values: Sequence[float], bounds: Bounds) -> str:
    """Return the path of a curve from the left edge to the right; values that are not finite leave gaps.

    A long curve has as many points as can be seen, including its first and last. Steps are relative whole
    numbers, which keeps paths short.
    """
    span = bounds.high - bounds.low
    scale, floor = ((HEIGHT - 2 * _EDGE) / span, HEIGHT - _EDGE) if span > 0 else (0.0, HEIGHT // 2)
    parts: list[str] = []
    last: tuple[int, int] | None = None
    for x, index in _points(len(values)):
        value = values[index]
        if not math.isfinite(value):
            last = None
            continue
        y = floor - round((value - bounds.low) * scale)
        parts.append(f"M{x} {y}h0" if last is None else f"l{x - last[0]}{y - last[1]:+}")
        last = x, y
    return "".join(parts)


@cache
def _points(length: int) -> list[tuple[int, int]]:
    """Return the x of each drawn point, from left to right, and the index of the value that it shows."""
    count = min(length, _MOST_POINTS)
    shares = [number / (count - 1) for number in range(count)] if count > 1 else [0.5] * count
    return [(round(_EDGE + share * (WIDTH - 2 * _EDGE)), round(share * (length - 1))) for share in shares]
