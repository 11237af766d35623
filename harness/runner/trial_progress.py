"""Progress of a rank in a trial: written by the training thread, read by the threads beside it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from harness.results.record import Epoch


@dataclass
class TrialProgress:
    """Progress of this rank in a trial of so many `parts`; the training writes it, the heartbeat reads it.

    `on_stall` is called with the reason if there is no progress for too long.
    """

    parts: int
    together: bool
    on_stall: Callable[[str], None]
    is_saving: bool = False
    done_parts: int = 0
    moved_at: float = field(default_factory=time.monotonic)
    last: Epoch | None = None

    @property
    def fraction(self) -> float:
        """Return the fraction that is done, from 0 to 1."""
        return min(1.0, self.done_parts / self.parts)

    @contextlib.contextmanager
    def saving(self) -> Iterator[None]:
        """Mark that this rank is writing a file within the context, which needs no other rank."""
        self.is_saving = True
        try:
            yield
        finally:
            self.is_saving = False

    def move(self, to: int | None = None) -> None:
        """Count one more step or batch, or set how many are done."""
        self.done_parts = self.done_parts + 1 if to is None else to
        self.moved_at = time.monotonic()
