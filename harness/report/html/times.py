"""Times of a record on the page."""

from __future__ import annotations

from datetime import UTC, datetime


def when(text: str) -> str:
    """Format a record's time in UTC; unchanged if it is no valid time."""
    moment = _moment(text)
    return text if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def seconds_between(start: str, end: str) -> float | None:
    """Return the seconds from one of a record's times to another; None if one of them is invalid."""
    first, last = _moment(start), _moment(end)
    return None if first is None or last is None else (last - first).total_seconds()


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
