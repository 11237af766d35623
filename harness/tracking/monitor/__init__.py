"""Live monitor (`status --follow`): polls result files once a second until nothing is left to train."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TextIO

from rich.console import Console

from harness.errors import StoreError
from harness.tracking.monitor.live import LiveMonitor
from harness.tracking.monitor.monitor import Monitor
from harness.tracking.monitor.plain import PlainOutput
from harness.tracking.monitor.snapshot import Snapshot

_POLL_SECONDS = 1.0


class View(Protocol):
    """Display of snapshots: live on a terminal, else plain lines."""

    def show(self, snapshot: Snapshot) -> None:
        """Show the snapshot of one poll."""

    def close(self) -> None:
        """Restore the terminal."""


def follow(monitor: Monitor, view: View, sleep: Callable[[float], None]) -> bool:
    """Poll and show until nothing is left to train; return whether a trial failed or diverged.

    Raise StoreError if the results cannot be read any more, and OSError if the output cannot be written.
    """
    try:
        while True:
            snapshot = _seen(monitor)
            view.show(snapshot)
            if snapshot.is_over:
                return snapshot.is_troubled
            sleep(_POLL_SECONDS)
    finally:
        view.close()


def _seen(monitor: Monitor) -> Snapshot:
    try:
        return monitor.poll()
    except OSError as error:
        raise StoreError(
            f"{error.filename or monitor.store.root}: cannot be read: {error.strerror}"
        ) from None


def view_for(out: TextIO) -> View:
    """Return the live view on a terminal and plain lines elsewhere."""
    rich = Console(file=out)
    return LiveMonitor(rich) if out.isatty() and not rich.is_dumb_terminal else PlainOutput(out)
