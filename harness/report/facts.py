"""Facts of a record as text, for tables, comparisons and the page: hardware, versions, code, data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from harness.results.record import Record

# By title; empty where a record does not say it.
FACTS: Mapping[str, Callable[[Record], str]] = {
    "Devices": lambda record: devices(record.hardware.devices),
    "Host": lambda record: record.hardware.host,
    "Placement": lambda record: record.hardware.placement,
    "Engine": lambda record: record.hardware.engine,
    "World size": lambda record: str(record.hardware.world_size),
    "Threads": lambda record: str(record.hardware.threads),
    "Trials per device": lambda record: str(record.hardware.trials_per_device),
    "torch": lambda record: record.versions.torch,
    "Model library": lambda record: record.versions.model_library or "",
    "CUDA": lambda record: record.versions.cuda or "none",
    "Python": lambda record: record.versions.python,
    "harness": lambda record: record.versions.harness,
    "Commit": lambda record: short(record.commit),
    "User code": lambda record: (record.user_code or "")[:8],
    "Code": lambda record: (record.versions.code or "")[:8],
    "Harness code": lambda record: (record.versions.harness_code or "")[:8],
    "Harness commit": lambda record: short(record.versions.commit) if record.has_known_code else "",
    "Numerics": lambda record: str(record.versions.numerics) if record.versions.numerics > 1 else "",
    "Data digest": lambda record: record.data_digest[:8],
    "Parameters": lambda record: "–" if record.parameters is None else f"{record.parameters:,}",
    "Replaced layers": lambda record: (
        ", ".join(f"{count} {name}" for name, count in sorted(record.replaced_layers.items())) or "none"
    ),
}


def in_sentence(title: str) -> str:
    """Return a title as it stands within a sentence."""
    return title[0].lower() + title[1:]


def devices(names: Sequence[str]) -> str:
    """Return the names of devices; how many of each (`2 × A GPU`) only where there are several kinds."""
    counts = sorted(Counter(names).items())
    return ", ".join(name if 1 in (count, len(counts)) else f"{count} × {name}" for name, count in counts)


def short(commit: str | None) -> str:
    """Shorten a commit as git does, keeping `-dirty`."""
    if commit is None:
        return "unknown"
    revision, dash, dirty = commit.partition("-")
    return f"{revision[:8]}{dash}{dirty}"
