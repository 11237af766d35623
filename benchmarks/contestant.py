"""The contestants: the harness and its peers, the command that starts each, and what a command left."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.experiment import Experiment
from harness.results.record import Record

ROOT = Path(__file__).resolve().parents[1]
HARNESS = "harness"


@dataclass(frozen=True)
class Run:
    """What one command left: its seconds from start to end, and a figure of each of its trials."""

    contestant: str
    wall_seconds: float
    test_accuracies: list[float]
    train_seconds: list[float]
    placement: str = ""  # how the harness met its ranks

    @classmethod
    def left_in(cls, output: Path, contestant: str, wall_seconds: float, seeds: Sequence[int]) -> Run:
        """Read the trials that a script has appended to its output; raise SystemExit unless all are there."""
        trials = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
        if sorted(trial["seed"] for trial in trials) != sorted(seeds):
            raise SystemExit(f"{contestant}: found the trials {trials}, expected one of each seed")
        return cls(
            contestant,
            wall_seconds,
            [trial["test_accuracy"] for trial in trials],
            [trial["train_seconds"] for trial in trials],
        )


@dataclass(frozen=True)
class Peer:
    """A script of this folder; torchrun starts its ranks, or it starts them itself."""

    name: str
    module: str
    package: str
    launcher: Literal["torchrun", "python"]

    @property
    def version(self) -> str | None:
        """Return the version of its package, or None where that is not installed."""
        if importlib.util.find_spec(self.package) is None:
            return None
        return importlib.metadata.version(self.package)

    def run(self, experiment: Experiment, folder: Path) -> Run:
        """Train the experiment from all its seeds, as one command that reads and writes in `folder`."""
        settings, output = folder / "experiment.json", folder / "trials.jsonl"
        experiment.write(settings)
        torchrun = [
            "-m",
            "torch.distributed.run",
            "--standalone",
            f"--nproc_per_node={experiment.world_size}",
        ]
        launcher = torchrun if self.launcher == "torchrun" and experiment.world_size > 1 else []
        module = ["-m", f"benchmarks.{self.module}"]
        wall_seconds = run_python(self.name, [*launcher, *module, str(settings), str(output)], folder)
        return Run.left_in(output, self.name, wall_seconds, experiment.seeds)


PEERS = (
    Peer("PyTorch DDP", "plain_ddp", "torch", "torchrun"),
    Peer("Lightning", "lightning_ddp", "lightning", "python"),
    Peer("Accelerate", "accelerate_ddp", "accelerate", "torchrun"),
    Peer("resident, by hand", "resident", "torch", "python"),
)


def in_rounds(
    contestants: Sequence[str], rounds: int, seeds: int, run: Callable[[str, int, list[int]], Run]
) -> list[list[Run]]:
    """Let all `run` in round 0, which does not count, then in every round, another one first each time.

    A round has `seeds` seeds of its own; round 0 has those of the first.
    """

    def of(number: int, order: Sequence[str]) -> list[Run]:
        first = max(number - 1, 0) * seeds + 1
        return [run(each, number, list(range(first, first + seeds))) for each in order]

    of(0, contestants)
    orders = ((*contestants[first:], *contestants[:first]) for first in range(len(contestants)))
    return [of(number, order) for number, order in zip(range(1, rounds + 1), itertools.cycle(orders))]


def run_harness(arguments: Sequence[str], seeds: Sequence[int], folder: Path) -> Run:
    """Train with `harness run` and its arguments, as one command; its records come into `folder`."""
    results = folder / "results"
    chosen = ["--seeds", ",".join(map(str, seeds)), "--results", str(results)]
    wall_seconds = run_python(HARNESS, ["-m", "harness", "run", *arguments, *chosen], folder)
    texts = [path.read_text(encoding="utf-8") for path in sorted(results.glob("*/*/seed-*.json"))]
    records = [Record.from_json(text) for text in texts]
    hardware = records[0].hardware
    return Run(
        HARNESS,
        wall_seconds,
        [record.epochs[-1].test_accuracy for record in records],
        [sum(epoch.train_seconds for epoch in record.epochs) for record in records],
        f"{hardware.placement}, {hardware.engine}, "
        f"world size {hardware.world_size}, threads {hardware.threads}, "
        f"trials a device {hardware.trials_per_device}",
    )


def run_python(name: str, arguments: Sequence[str], folder: Path) -> float:
    """Run Python with the arguments in `folder` and return the seconds; show the log if it fails."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    log = folder / "log.txt"
    with log.open("w", encoding="utf-8") as file:
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *arguments], cwd=folder, env=env, stdout=file, stderr=file, check=False
        )
        seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{log.read_text(encoding='utf-8')}\n{name} ended with exit code {done.returncode}")
    return seconds
