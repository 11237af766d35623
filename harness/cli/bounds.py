"""Options that take numbers or durations within bounds; other values get a message and exit code 2."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import typer

from harness.errors import UsageError

WEEK_SECONDS = 604_800.0  # twice as long in milliseconds is still less than 2³¹, for torch's sockets
_YEAR_SECONDS = 365 * 86_400.0
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def whole(name: str, low: int, high: int, text: str) -> Any:
    """Return an option that takes a whole number from `low` to `high`; `text` is its help."""
    span = f"{low:,} to {high:,}"
    return _option(name, "N", text, span, _parser(name, int, f"a whole number from {span}", low, high))


def seconds(name: str, low: float, high: float, text: str) -> Any:
    """Return an option that takes seconds, from `low` to `high`."""
    span = f"{low:,g} to {high:,.0f}"
    return _option(name, "SECONDS", text, span, _parser(name, float, f"seconds from {span}", low, high))


def points(name: str, text: str) -> Any:
    """Return an option that takes percentage points, from above 0 to below 100."""
    span, above_zero, below_hundred = "above 0, below 100", math.ulp(0.0), math.nextafter(100.0, 0.0)
    return _option(
        name, "POINTS", text, span, _parser(name, float, f"a number {span}", above_zero, below_hundred)
    )


def duration(name: str, low: float, text: str, envvar: str | None = None) -> Any:
    """Return an option that takes a duration as text, from `low` seconds to a year."""

    def parse(given: Any) -> str:
        seconds_of(named, str(given), low)
        return str(given)

    named = name if envvar is None else f"{name} (or {envvar})"
    span = f"such as 90s, 5m or 1h; {low:g}s to a year"
    return _option(name, "TIME", text, span, parse, envvar)


def whole_numbers(name: str, low: int, high: int, text: str) -> Any:
    """Return an option that takes whole numbers from `low` to `high`, separated by commas."""

    def parse(given: Any) -> str:
        numbers_of(name, str(given), low, high)
        return str(given)

    return _option(name, "N,N", text, f"each {low:,} to {high:,}", parse)


def slurm_text(name: str, metavar: str, form: tuple[str, str], text: str) -> Any:
    """Return an option that takes text in one of SLURM's forms, a pattern and its description."""
    pattern, expected = form

    def parse(given: Any) -> str:
        if not re.fullmatch(pattern, str(given)):
            raise UsageError(f"{name}: found {_short(given)}, expected {expected}")
        return str(given)

    return typer.Option(name, metavar=metavar, help=text, parser=parse)


def seconds_of(option: str, text: str, low: float = 0.0) -> float:
    """Parse a duration such as 90, 90s, 5m or 1h; raise UsageError if it is malformed or out of bounds."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in _SECONDS else (text, "s")
    try:
        found = float(number) * _SECONDS[unit]
    except ValueError:
        found = -1.0
    if not (found > 0 and low <= found <= _YEAR_SECONDS):
        raise UsageError(
            f"{option}: found {_short(text)}, expected a length of time such as 90s, 5m or 1h, "
            f"from {f'{low:g}s' if low else 'above 0'} to a year"
        )
    return found


def numbers_of(option: str, text: str, low: int, high: int) -> list[int]:
    """Parse numbers such as 1,2,4, in ascending order; raise UsageError for what is none or out of bounds."""
    parse = _parser(option, int, f"whole numbers from {low:,} to {high:,}, such as 1,2,4", low, high)
    return sorted({parse(each) for each in text.split(",")})


def _option(
    name: str, metavar: str, text: str, span: str, parse: Callable[[Any], Any], envvar: str | None = None
) -> Any:
    return typer.Option(name, metavar=metavar, help=f"{text} [{span}]", parser=parse, envvar=envvar)


def _parser(
    name: str, kind: type[int] | type[float], expected: str, low: float, high: float
) -> Callable[[Any], Any]:
    def parse(given: Any) -> Any:
        try:
            value = kind(given)
        except ValueError:  # int() raises it for thousands of digits, too
            value = None
        if value is None or not low <= value <= high:  # NaN is in no range
            raise UsageError(f"{name}: found {_short(given)}, expected {expected}")
        return value

    return parse


def _short(given: Any) -> str:
    text = str(given)
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
