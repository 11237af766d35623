"""Numerics version: a number, raised when whole trials in float64 differ by more than 1e-9 from before.

Rounding alone never raises it. A change names the trials that it touches: only they get other digests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """A change of the version: a sentence for people, and which settings of trials it touches."""

    sentence: str
    touches: Callable[[_Settings], bool]


# By version, from 2 on. Records without a version have version 1.
CHANGES: dict[int, Change] = {}


def version_of(settings: _Settings) -> int:
    """Return the numerics version of trials with these settings: the last change that touches them."""
    return max((version for version, change in CHANGES.items() if change.touches(settings)), default=1)


def versions_of(settings: _Settings) -> list[int]:
    """List all versions that trials with these settings have had, in order."""
    return [1, *sorted(version for version, change in CHANGES.items() if change.touches(settings))]
