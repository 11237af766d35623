"""What is trained under kills, in how many ranks, and what it finds when nobody kills it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contestant import ROOT
from harness.config.loader import load_suite
from harness.config.suite import Suite
from harness.results.record import Record
from tests.support.fault_hook.drill import ENV

Figures = dict[str, list[float]]  # of each trial: losses and accuracies of all epochs

_SUITE = """\
suite: killed
title: A suite under kills
dataset: {{name: kmnist_sample, resize: 8}}
seeds: {seeds}
common:
  training:
    epochs: {epochs}
    batch_size: {batch_size}
    precision: {precision}
    optimizer: {{name: Adam, lr: 0.003}}
    scheduler: {{name: StepLR, step_size: 2}}
experiments:
  mixer: {{model: {{name: patch_mixer, patch_size: 4, width: 12, hidden: [8]}}}}
  mlp: {{model: {{name: mlp, hidden: [16], dropout: 0.2}}}}
"""


@dataclass(frozen=True)
class Case:
    """One way to train: a suite, arguments, and the numbers of ranks that a start may have.

    `is_exact` asks for the same bits; otherwise figures may differ by the rounding of sums.
    """

    name: str
    text: str
    arguments: tuple[str, ...]
    ranks: tuple[int, ...]
    is_exact: bool

    def suite(self, folder: Path) -> Suite:
        """Write the suite into the folder and read it."""
        (folder / "suite.yaml").write_text(self.text, encoding="utf-8")
        return load_suite(folder / "suite.yaml")

    def start(self, folder: Path, ranks: int, log: Path, *, hook: bool = True) -> subprocess.Popen[bytes]:
        """Start a run in the folder; both its streams go into the log."""
        env = environment(folder if hook else None)
        with log.open("wb") as file:
            return subprocess.Popen(self.command(ranks), cwd=folder, env=env, stdout=file, stderr=file)

    def command(self, ranks: int) -> list[str]:
        """Return what starts a run."""
        command = [sys.executable, "-m", "harness", "run", "suite.yaml", "--nproc", str(ranks)]
        return [*command, *self.arguments, "--no-calibrate", "--max-restarts", "1000"]

    def figures(self, folder: Path) -> Figures:
        """Return what the suite finds in an uninterrupted run on the first of the numbers of ranks."""
        folder.mkdir(parents=True)
        suite = self.suite(folder)
        if self.start(folder, self.ranks[0], folder / "log.txt", hook=False).wait():
            raise SystemExit((folder / "log.txt").read_text(encoding="utf-8"))
        paths = sorted((folder / "results" / suite.folder).glob("*/seed-*.json"))
        records = [Record.from_json(path.read_text(encoding="utf-8")) for path in paths]
        return {trial_name(path): figures_of(record) for path, record in zip(paths, records, strict=True)}


def small_suite(precision: str, *, seeds: int = 1, epochs: int = 16, batch_size: int = 600) -> str:
    """Write a suite of two small networks."""
    return _SUITE.format(precision=precision, seeds=seeds, epochs=epochs, batch_size=batch_size)


def cases() -> Sequence[Case]:
    """List all ways to train."""

    within = ("--placement", "ddp", "--checkpoint-every", "1s")
    return (
        Case("ddp, fp64", small_suite("fp64"), ("--placement", "ddp"), (2, 1, 3), is_exact=False),
        Case("ddp, fp32", small_suite("fp32"), ("--placement", "ddp"), (2,), is_exact=True),
        Case("spread, fp64", small_suite("fp64", seeds=2), ("--placement", "spread"), (2, 1), is_exact=False),
        Case("one rank, fp32", small_suite("fp32"), ("--placement", "spread"), (1,), is_exact=True),
        Case(
            "ddp, fp32, long epochs",
            small_suite("fp32", epochs=3, batch_size=24),
            within,
            (2,),
            is_exact=True,
        ),
    )


def environment(drill: Path | None) -> dict[str, str]:
    """Return the variables of a run, with the hook of a drill where there is one."""
    paths = [*([str(ROOT / "tests/support/fault_hook")] if drill else []), str(ROOT)]
    fixed = {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM_", "HARNESS_"))}
    return {**kept, **fixed, **({ENV: str(drill)} if drill else {})}


def trial_name(path: Path) -> str:
    """Return what a trial's files have in common."""
    return f"{path.parent.name}/{path.name.partition('.')[0]}"


def figures_of(record: Record) -> list[float]:
    """Return what a trial found, without times."""
    return [value for epoch in record.epochs for value in epoch.reproducible.values()]
