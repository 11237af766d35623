"""How often ranks ask the run's key-value store, by their number: while they train, and while they wait.

    python -m benchmarks.store_operations

Ranks are threads with a heartbeat each, over a store that counts; nothing is trained.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from harness.markdown import table
from harness.runner.event_channel import EventChannel
from harness.runner.heartbeat import Heartbeat
from harness.runner.shutdown import StopRequests
from harness.tracking.console import Event
from harness.training.distributed import RunRanks
from harness.training.key_value_store import KeyValueStore

_RANKS = (1, 2, 4, 8, 16, 32)
_SECONDS = 5.0


class Silent:
    """A console that shows nothing."""

    def show(self, event: Event) -> None:
        """Show nothing."""

    def moving(self, trial: str, fraction: float) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Do nothing."""


@dataclass
class Counting:
    """One rank's view of a store that all share; counts the operations by their name."""

    values: dict[str, bytes]
    lock: threading.Lock
    operations: Counter[str] = field(default_factory=Counter)

    def set(self, key: str, value: str) -> None:
        """Set a key."""
        self.operations["set"] += 1
        self.values[key] = value.encode()

    def get(self, key: str) -> bytes:
        """Return a value."""
        self.operations["get"] += 1
        return self.values[key]

    def multi_get(self, keys: Sequence[str]) -> list[bytes]:
        """Return several values."""
        self.operations["multi_get"] += 1
        return [self.values[key] for key in keys]

    def check(self, keys: Sequence[str]) -> bool:
        """Tell whether all keys are set."""
        self.operations["check"] += 1
        return all(key in self.values for key in keys)

    def add(self, key: str, amount: int) -> int:
        """Add to a counter."""
        self.operations["add"] += 1
        with self.lock:
            found = int(self.values.get(key, b"0")) + amount
            self.values[key] = str(found).encode()
        return found


def counted(ranks: int, *, waiting: bool) -> list[float]:
    """Return the operations a second of each rank."""
    values: dict[str, bytes] = {}
    stores = [Counting(values, threading.Lock()) for _ in range(ranks)]
    hearts = [heartbeat_of(store, rank, ranks) for rank, store in enumerate(stores)]
    over = threading.Event()
    for rank, heart in enumerate(hearts):
        heart.begin(f"trial-{rank}", 1000, print, together=False).move()
    time.sleep(1)  # until all have their first heartbeat behind them
    before = [store.operations.total() for store in stores]
    started = time.monotonic()
    waiters = [threading.Thread(target=heart.wait, args=(over.is_set,)) for heart in hearts if waiting]
    for waiter in waiters:
        waiter.start()
    time.sleep(_SECONDS)
    seconds = time.monotonic() - started
    found = [(store.operations.total() - had) / seconds for store, had in zip(stores, before, strict=True)]
    over.set()
    for thread in waiters:
        thread.join()
    for heart in hearts:
        heart.stop()
    return found


def heartbeat_of(store: Counting, rank: int, ranks: int, timeout_seconds: float = 600.0) -> Heartbeat:
    """Start the heartbeat of a rank over a store."""
    shared: Any = store
    run_ranks = RunRanks(shared, rank, rank, ranks, torch.device("cpu"), KeyValueStore(shared), [1, 0])
    console = Silent() if rank == 0 else None
    return Heartbeat(run_ranks, EventChannel(run_ranks, console), timeout_seconds, StopRequests())


def main() -> None:
    """Print a table of operations a second and rank."""
    head = ["ranks", "training: rank 0", "others, at most", "waiting: rank 0", "others, at most"]
    rows = []
    for ranks in _RANKS:
        found = [counted(ranks, waiting=waiting) for waiting in (False, True)]
        cells = [f"{value:.1f}" for first, *others in found for value in (first, max(others, default=0.0))]
        rows.append([str(ranks), *cells])
    print(table(head, rows))


if __name__ == "__main__":
    main()
