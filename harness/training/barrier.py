"""Barrier of all ranks of a run over the key-value store, used before a clock is read."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from harness.training.distributed import RunRanks

_POLL_SECONDS = 0.002


@dataclass
class Barrier:
    """A reusable barrier of all ranks, which must all pass it equally often.

    A waiting rank polls the store: this occupies no core, and no rank sits in a collective for long.
    """

    run_ranks: RunRanks
    name: str
    passed: int = 0

    def wait(self) -> None:
        """Wait until all ranks have arrived."""
        key = f"{self.name}/{self.passed}/here"
        self.passed += 1
        self.run_ranks.add(key)
        while self.run_ranks.add(key, 0) < self.run_ranks.world_size:
            time.sleep(_POLL_SECONDS)

    def gather(self, value: Any) -> list[Any]:
        """Return every rank's value (anything that JSON can hold), in the order of ranks."""
        name = f"{self.name}/{self.passed}"
        self.run_ranks.set(f"{name}/{self.run_ranks.rank}", json.dumps(value))
        self.wait()
        keys = [f"{name}/{rank}" for rank in range(self.run_ranks.world_size)]
        return [json.loads(text or "") for text in self.run_ranks.get_all(keys)]
