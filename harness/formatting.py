"""Text for people: numbers rounded as by hand, halves up; lengths of time; aligned columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal

_ANY_FLOAT = Context(prec=400)


def half_up(value: float, digits: int, scale: int = 1, sign: str = "") -> str:
    """Format `scale * value` with so many digits, halves rounded away from zero.

    The float is rounded as its shortest decimal, so that an exact tie stays one. With the `sign` "+" positive
    numbers have their sign, too.
    """
    if not math.isfinite(value):
        return f"{value:{sign}}"
    step = Decimal(1).scaleb(-digits)
    found = (scale * Decimal(repr(float(value)))).quantize(step, ROUND_HALF_UP, _ANY_FLOAT)
    return f"{found if found else abs(found):{sign}f}"  # zero is never written as -0


def percent(fraction: float, digits: int = 2) -> str:
    """Format a fraction as a percentage."""
    return f"{half_up(fraction, digits, 100)} %"


def duration(seconds: float) -> str:
    """Format seconds for people: 12 s, 3 min 20 s, 1 h 02 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min"


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as lines of text, in aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
