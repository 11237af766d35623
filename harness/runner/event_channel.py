"""Event channel: any rank sends events through the key-value store, and rank 0 shows them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from harness.runner import keys
from harness.tracking.console import Console, Event
from harness.training.distributed import RunRanks

_LOOKS_FOR_MISSING = 5


@dataclass
class EventChannel:
    """Channel of events from all ranks to the console, which only rank 0 has."""

    run_ranks: RunRanks
    console: Console | None
    _missed: int = 0

    def tell(self, event: Event) -> None:
        """Send an event to rank 0's console."""
        self.run_ranks.set(keys.event(self.run_ranks.add(keys.EVENTS)), json.dumps(event))

    def note(self, text: str) -> None:
        """Send a line of text to rank 0's console."""
        self.tell({"kind": "note", "text": text})

    def tell_end(self, trial: str, text: str) -> None:
        """Send the end of a trial, described in `text`, to rank 0's console."""
        self.tell({"kind": "end", "trial": trial, "text": f"{trial}: {text}"})

    def show(self, fractions: Mapping[str, float]) -> None:
        """Show the new events, and the progress of each running trial as a fraction from 0 to 1."""
        if self.console is None:
            return
        try:
            self._show_new(self.console)
            for trial, fraction in fractions.items():
                self.console.moving(trial, fraction)
        except OSError:  # a live view whose terminal is gone
            self.console = None

    def close(self) -> None:
        """Restore the terminal."""
        if self.console:
            self.console.close()

    def _show_new(self, console: Console) -> None:
        while (shown := self.run_ranks.add(keys.SHOWN, 0)) < self.run_ranks.add(keys.EVENTS, 0):
            event = self.run_ranks.get(keys.event(shown + 1))
            if event is None and self._missed < _LOOKS_FOR_MISSING:
                self._missed += 1  # it may still come, unless its rank has ended
                return
            self._missed = 0
            self.run_ranks.add(keys.SHOWN)
            if event is not None:
                console.show(json.loads(event))
