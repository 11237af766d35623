"""One trial of a peer: its seed, its seconds, and the line that it leaves."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch


@dataclass
class Trial:
    """Adds up the seconds of training and of evaluation; waits for the GPU before it reads the clock."""

    seed: int
    train_seconds: float = field(default=0.0, init=False)
    eval_seconds: float = field(default=0.0, init=False)
    _since: float = field(default=0.0, init=False)

    def start_epoch(self) -> None:
        """Start to train."""
        self._lap()

    def end_training(self) -> None:
        """Start to evaluate."""
        self.train_seconds += self._lap()

    def end_evaluation(self) -> None:
        """Stop evaluating."""
        self.eval_seconds += self._lap()

    def append_to(self, output: Path, test_accuracy: float) -> None:
        """Append the finished trial to the output, as a line of JSON."""
        line = {
            "seed": self.seed,
            "test_accuracy": test_accuracy,
            "train_seconds": self.train_seconds,
            "eval_seconds": self.eval_seconds,
        }
        with output.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _lap(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        return seconds
