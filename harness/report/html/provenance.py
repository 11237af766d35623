"""Provenance of a trial as text: its hardware, versions and times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from harness.report.footnotes import short
from harness.results.record import Record

# What is empty in all of an experiment's records is not shown of it.
ASPECTS: dict[str, Callable[[Record], str]] = {
    "Device": lambda record: devices(record.hardware.devices),
    "Host": lambda record: record.hardware.host,
    "Placement": lambda record: record.hardware.placement,
    "Engine": lambda record: record.hardware.engine,
    "World size": lambda record: str(record.hardware.world_size),
    "Threads": lambda record: str(record.hardware.threads),
    "Trials a device": lambda record: str(record.hardware.trials_per_device),
    "torch": lambda record: record.versions.torch,
    "CUDA": lambda record: record.versions.cuda or "none",
    "Python": lambda record: record.versions.python,
    "harness": lambda record: record.versions.harness,
    "Commit": lambda record: short(record.commit),
    "User code": lambda record: (record.user_code or "")[:8] if record.has_known_code else "",
    "Code": lambda record: (record.versions.code or "")[:8],
    "Harness code": lambda record: (record.versions.harness_code or "")[:8],
    "Harness commit": lambda record: short(record.versions.commit) if record.has_known_code else "",
    "Numerics": lambda record: str(record.versions.numerics) if record.versions.numerics > 1 else "",
    "Data": lambda record: record.data_digest[:8],
    "Parameters": lambda record: "–" if record.parameters is None else f"{record.parameters:,}",
    "Replaced layers": lambda record: (
        ", ".join(f"{count} {name}" for name, count in sorted(record.replaced_layers.items())) or "none"
    ),
}


def devices(names: Sequence[str]) -> str:
    """Return the names of devices, equal ones once: `2 × A GPU`."""
    counts = sorted(Counter(names).items())
    return ", ".join(name if count == 1 else f"{count} × {name}" for name, count in counts)


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
