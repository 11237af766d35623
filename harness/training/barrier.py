"""The barrier that all ranks of a run come to before a clock is read."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from harness.training.distributed import RunRanks

_POLL_SECONDS = 0.002


@dataclass
class Barrier:
    """Lets no rank go on before all have come, again and again; all ranks must pass it equally often.

    Who waits asks the store now and then: it costs no core, and nobody sits in a collective for long.
    """

    run_ranks: RunRanks
    name: str
    passed: int = 0

    def wait(self) -> None:
        """Wait until all ranks are here."""
        key = f"{self.name}/{self.passed}/here"
        self.passed += 1
        self.run_ranks.add(key)
        while self.run_ranks.add(key, 0) < self.run_ranks.world_size:
            time.sleep(_POLL_SECONDS)

    def gather(self, value: Any) -> list[Any]:
        """Return every rank's value, which JSON can hold, in the order of ranks."""
        name = f"{self.name}/{self.passed}"
        self.run_ranks.set(f"{name}/{self.run_ranks.rank}", json.dumps(value))
        self.wait()
        return [
            json.loads(self.run_ranks.get(f"{name}/{rank}") or "")
            for rank in range(self.run_ranks.world_size)
        ]
