"""Rendezvous of a run's ranks: they agree on the number of this start."""

from __future__ import annotations

import time
import uuid
from typing import Protocol

from harness.errors import LostRankError
from harness.training.device_choice import SharedStore

_POLL_SECONDS = 0.05


class CounterStore(SharedStore, Protocol):
    """Interface of the key-value store, with counters, that the ranks of all starts share."""

    def add(self, key: str, amount: int = 1) -> int:
        """Add to a counter and return its new value."""


def start_number(run: CounterStore, rank: int, world_size: int, timeout_seconds: float) -> str:
    """Return the number of this start, which rank 0 assigns when all ranks have answered its call.

    torchrun's own count is per node. Starts do not overlap: all workers end before it starts any.
    Raise LostRankError if not all ranks answer in time.
    """
    last = run.get("call") or ""
    seen = last if run.get(f"start/{last}") is not None else ""  # the call of an earlier start
    call = uuid.uuid4().hex
    if rank == 0:
        run.set("call", call)
    answered = ""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        current = run.get("call") or ""
        if current not in (seen, answered):
            run.add(f"answers/{current}")
            answered = current
        if rank == 0 and run.add(f"answers/{call}", 0) == world_size:
            run.set(f"start/{call}", str(run.add("starts")))
        if answered and (number := run.get(f"start/{answered}")):
            return number
        time.sleep(_POLL_SECONDS)
    raise LostRankError(f"not all {world_size} ranks came within {timeout_seconds:.0f} s")
