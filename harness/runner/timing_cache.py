"""Timings in the user's cache: seconds per epoch by kind of trial and execution. Measures nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.results.atomic_files import write_whole
from harness.runner.placement import Execution
from harness.strict import Strict


class Circumstances(Strict):
    """Circumstances that a timing depends on: the kind of trial, the devices and the versions."""

    kind: str
    devices: list[str]
    threads: int
    versions: list[str]


class Measured(Strict):
    """Seconds per epoch under one execution, evaluation included; None if it fails."""

    execution: Execution
    epoch_seconds: float | None


class Timings(Strict):
    """All timings measured in the same circumstances."""

    circumstances: Circumstances
    measured: list[Measured]


@dataclass(frozen=True)
class TimingCache:
    """Timings in one cache folder; an unreadable file counts as missing."""

    folder: Path

    def find(self, circumstances: Circumstances) -> dict[Execution, float | None]:
        """Return the seconds per epoch by execution, as far as they were measured in these circumstances."""
        entry = _read(self._path(circumstances))
        return _by_execution(entry) if entry and entry.circumstances == circumstances else {}

    def save(self, circumstances: Circumstances, paces: Mapping[Execution, float | None]) -> None:
        """Add timings to those measured before; raise StoreError if they cannot be written."""
        known = {**self.find(circumstances), **paces}
        measured = [
            Measured(execution=execution, epoch_seconds=seconds) for execution, seconds in known.items()
        ]
        entry = Timings(circumstances=circumstances, measured=measured)
        write_whole(self._path(circumstances), entry.model_dump_json(indent=1).encode())

    def latest(self) -> dict[str, float]:
        """Return the latest measured seconds per epoch of each kind of trial on one rank."""
        found: dict[str, float] = {}
        for entry in self._entries():
            alone = [
                each.epoch_seconds
                for each in entry.measured
                if each.execution.placement == "spread"
                and each.execution.trials_per_device == 1
                and each.epoch_seconds is not None
            ]
            if alone:
                found[entry.circumstances.kind] = min(alone)
        return found

    def _entries(self) -> Iterator[Timings]:
        try:
            paths = sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
        except OSError:  # another user's folder, as where HOME was kept by sudo
            paths = []
        for path in paths:
            entry = _read(path)
            if entry:
                yield entry

    def _path(self, circumstances: Circumstances) -> Path:
        name = hashlib.sha256(circumstances.model_dump_json().encode()).hexdigest()[:16]
        return self.folder / f"{name}.json"


def _read(path: Path) -> Timings | None:
    try:
        return Timings.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _by_execution(entry: Timings) -> dict[Execution, float | None]:
    return {each.execution: each.epoch_seconds for each in entry.measured}
