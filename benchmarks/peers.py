"""Peers, side by side: one experiment, trained by the harness and by each of its peers, in turn.

`python -m benchmarks.peers suites/fashion/patch_size.yaml --experiment exp-2 --out FOLDER`
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

import harness
from benchmarks.benchmark import Benchmark, prepared
from benchmarks.comparison import Comparison
from benchmarks.contestant import HARNESS, PEERS, ROOT, Run, in_rounds
from harness.errors import HarnessError
from harness.results.provenance import commit, device_name


def parsed() -> argparse.Namespace:
    """Read argv."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    default = ROOT / "suites" / "fashion" / "patch_size.yaml"
    parser.add_argument("suite", nargs="?", type=Path, default=default)
    parser.add_argument("--experiment", help="default: the suite's first")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--epochs", type=int, help="default: the experiment's")
    parser.add_argument("--seeds", type=int, help="how many a round; default: as many as the suite has")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--margin-points", type=float, default=0.5, help="how far accuracies may differ")
    parser.add_argument("--data-dir", type=Path, help="a folder with the official files of datasets")
    parser.add_argument("--out", type=Path, help="a folder for peers.md and peers.json")
    return parser.parse_args()


def facts_of(benchmark: Benchmark, options: argparse.Namespace) -> dict[str, str]:
    """Say what is measured, where and with what."""
    experiment = benchmark.experiment
    gpus, cores = torch.cuda.device_count(), len(os.sched_getaffinity(0))
    device = device_name(torch.device("cuda" if gpus else "cpu"))
    packages = dict.fromkeys(f"{peer.package} {peer.version}" for peer in PEERS if peer.version)
    parts = (experiment.model, experiment.optimizer, experiment.scheduler)
    settings = [described(part) for part in parts if part is not None]
    return {
        "Experiment": f"{options.suite.stem}, {benchmark.name}, on {benchmark.dataset}",
        "Settings": "; ".join([*settings, f"batch {experiment.batch_size}", experiment.precision]),
        "Trials": f"{benchmark.seeds_per_round} seeds × {experiment.epochs} epochs × "
        f"{benchmark.train_size:,} images a round; rounds: {options.rounds}",
        "Device": f"{gpus} × {device}, {cores} cores" if gpus else f"{device}, {cores} cores",
        "Versions": f"{', '.join(packages)}, harness {harness.__version__} ({commit() or 'no commit'})",
        "Date": datetime.now(UTC).date().isoformat(),
        "The peers ran": f"{experiment.world_size} ranks",
    }


def described(settings: dict[str, Any]) -> str:
    """Write the settings of a model, optimizer or scheduler, its name first."""
    others = [f"{key} = {value}" for key, value in settings.items() if key != "name"]
    return f"{settings['name']} ({', '.join(others)})"


def compare(options: argparse.Namespace, folder: Path) -> Comparison:
    """Let every contestant train in every round, one after another, another one first each time."""
    benchmark = prepared(options, folder)
    contestants = [HARNESS, *(peer.name for peer in PEERS if peer.version)]

    def run(contestant: str, number: int, seeds: list[int]) -> Run:
        epochs = benchmark.experiment.epochs if number else 1
        done = benchmark.run(contestant, seeds, epochs, folder / f"round-{number}" / contestant)
        print(f"round {number}: {contestant}: {done.wall_seconds:.1f} s", file=sys.stderr, flush=True)
        return done

    rounds = in_rounds(contestants, options.rounds, benchmark.seeds_per_round, run)
    return Comparison(
        title="Peers, side by side",
        facts=facts_of(benchmark, options),  # only now: it may take memory of a GPU
        images=benchmark.experiment.epochs * benchmark.train_size,
        margin_points=options.margin_points,
        rounds=rounds,
        absent=[peer.name for peer in PEERS if not peer.version],
    )


def main() -> None:
    """Compare, print the table, and write it where that was asked for."""
    options = parsed()
    with TemporaryDirectory(prefix="peers-") as folder:
        try:
            comparison = compare(options, Path(folder))
        except HarnessError as error:
            raise SystemExit(f"error: {error}") from None
    print(comparison.to_markdown())
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "peers.md").write_text(comparison.to_markdown(), encoding="utf-8")
        (options.out / "peers.json").write_text(comparison.to_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
