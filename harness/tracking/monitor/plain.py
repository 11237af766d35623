"""Plain-text monitor output when stdout is not a TTY: one line for each change."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TextIO

from harness.tracking.console import epoch_line
from harness.tracking.monitor.snapshot import Held, Snapshot, printable


@dataclass
class PlainOutput:
    """View that writes the differences from the previous snapshot."""

    out: TextIO
    _counts: dict[str, str] = field(default_factory=dict)
    _held: dict[str, Held] = field(default_factory=dict)

    def show(self, snapshot: Snapshot) -> None:
        """Write a line for each trial that started, advanced, fell silent or ended, and for new counts."""
        held = {each.trial.key: each for suite in snapshot.suites for each in suite.held}
        lines = [f"waiting for {name}" for name in snapshot.awaited if self._counts.get(name) != ""]
        lines += [f"{end.trial.key}: {end.text}" for end in snapshot.ended]
        ended = {end.trial.key for end in snapshot.ended}
        for key, now in held.items():
            lines += _changes(key, self._held.get(key), now)
        for key, before in self._held.items():
            if key not in held and key not in ended:
                lines.append(f"{key}: released by {_name(before)}")
        counts = {suite.folder: str(suite) for suite in snapshot.suites}
        lines += [f"{name}: {text}" for name, text in counts.items() if self._counts.get(name) != text]
        self._counts = {**dict.fromkeys(snapshot.awaited, ""), **counts}
        self._held = held
        if not snapshot.suites and not snapshot.awaited:
            lines.append("no results yet")
        for line in lines:
            self.out.write(line + "\n")
        self.out.flush()

    def close(self) -> None:
        """Do nothing."""


def _changes(key: str, before: Held | None, now: Held) -> Iterator[str]:
    if before is None:
        yield f"{key}: held by {_name(now)}"
    elif before.owner.token != now.owner.token:
        yield f"{key}: taken over by {_name(now)}"
    elif before.is_alive and not now.is_alive:
        yield f"{key}: {now.last_heartbeat} from {_name(now)}"
    elif now.is_alive and not before.is_alive:
        yield f"{key}: alive again, held by {_name(now)}"
    epoch = _epoch_of(now)
    if epoch and epoch != (_epoch_of(before) if before else 0):
        yield epoch_text(now)


def _epoch_of(held: Held) -> int:
    """Return the number of the latest epoch with metrics, 0 if there is none."""
    return held.lease_progress.last.epoch if held.lease_progress and held.lease_progress.last else 0


def epoch_text(held: Held) -> str:
    """Format the latest epoch's metrics as the run itself does; empty if there are none yet."""
    lease_progress = held.lease_progress
    if lease_progress is None or lease_progress.last is None:
        return ""
    speed = math.nan if lease_progress.samples_per_second is None else lease_progress.samples_per_second
    figures = {"trial": held.trial.key, "epochs": lease_progress.epochs, "samples_per_second": speed}
    return epoch_line(dict(lease_progress.last) | figures)


def _name(held: Held) -> str:
    return printable(str(held.owner))
