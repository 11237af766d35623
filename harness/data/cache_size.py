"""Size of the cache of prepared data: what was not used for longest goes first."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness import environment
from harness.data.cache import ABOUT
from harness.errors import DataError

_GIB = 2**30
_DEFAULT_GIB = 50.0
_IN_USE_SECONDS = 86_400.0  # a run may have mapped what was opened since


@dataclass(frozen=True)
class Entry:
    """Prepared data in the cache: their folder, their size, and when they were last opened."""

    folder: Path
    size_bytes: int
    used_at: float

    @classmethod
    def of(cls, folder: Path) -> Entry:
        """Look at a folder; one without data in it counts as used when it was made."""
        files = [path.stat() for path in folder.rglob("*") if path.is_file()]
        about = folder / ABOUT
        used_at = (about if about.exists() else folder).stat().st_mtime
        return cls(folder, sum(each.st_size for each in files), used_at)


def entries(prepared: Path) -> list[Entry]:
    """List what is in the cache, and what interrupted processes left there, the least recently used first."""
    if not prepared.is_dir():
        return []
    found = []
    for path in prepared.iterdir():
        try:
            found.append(Entry.of(path))
        except FileNotFoundError:  # another process has removed it
            continue
    return sorted(found, key=lambda each: each.used_at)


def limit_bytes(env: Mapping[str, str]) -> float:
    """Return how much may be kept; raise DataError if the variable is no number above 0."""
    given = env.get(environment.CACHE_GIB) or str(_DEFAULT_GIB)
    try:
        limit = float(given)
    except ValueError:
        limit = -1.0
    if not limit > 0:
        raise DataError(f"{environment.CACHE_GIB}: found {given!r}, expected a number above 0, of GiB")
    return limit * _GIB


def prune(prepared: Path, env: Mapping[str, str], now: float | None = None) -> list[Entry]:
    """Remove the least recently used data until the rest is within the limit; return what was removed.

    Data opened within a day stay, whatever their size.
    """
    known, limit = entries(prepared), limit_bytes(env)
    total = sum(each.size_bytes for each in known)
    removed = []
    for each in known:
        if total <= limit or each.used_at > (now or time.time()) - _IN_USE_SECONDS:
            break
        shutil.rmtree(each.folder, ignore_errors=True)
        total -= each.size_bytes
        removed.append(each)
    return removed


def clean(prepared: Path) -> list[Entry]:
    """Remove all prepared data; return what was removed."""
    known = entries(prepared)
    for each in known:
        shutil.rmtree(each.folder, ignore_errors=True)
    return known
