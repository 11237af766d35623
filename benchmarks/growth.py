"""How `status`, `report` and `plan` grow with the number of records: seconds and memory of whole processes.

`python -m benchmarks.growth` writes results/bench/growth.md; `--before FOLDER` measures an older
harness in turn with it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

import harness
from benchmarks.contestant import ROOT
from harness import markdown
from harness.config.suite import Suite
from harness.results.provenance import commit, cores, device_name
from harness.results.record import Epoch
from harness.results.store import Store
from tests.support.records import SUITE, record_of, suite_of

EPOCHS = 50
SEEDS = 10
COMMANDS = {"status": ["status"], "report": ["report"], "plan": ["plan", "suite.yaml"]}
# A small process of its own: the peak memory of a child includes what its parent held when it was started.
_LAUNCHER = """
import json, os, sys, time
started = time.perf_counter()
silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=silent)
_, status, usage = os.wait4(child, 0)
print(json.dumps([time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]))
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True)
class Usage:
    """What one run of one command took; the seconds of all threads, and the peak of resident memory."""

    seconds: float
    cpu_seconds: float
    peak_mib: float


@dataclass(frozen=True)
class Series:
    """The runs of one command on one number of records."""

    command: str
    records: int
    runs: Sequence[Usage]

    @property
    def seconds(self) -> float:
        """Return the median seconds from start to end."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def cpu_seconds(self) -> float:
        """Return the median seconds of computing."""
        return statistics.median(run.cpu_seconds for run in self.runs)

    @property
    def peak_mib(self) -> float:
        """Return the most memory that a run took."""
        return max(run.peak_mib for run in self.runs)

    def cells(self) -> list[str]:
        """Write the figures as cells of a table."""
        low, high = (pick(run.seconds for run in self.runs) for pick in (min, max))
        return [
            f"{self.seconds:.2f} ({low:.2f}–{high:.2f})",
            f"{self.cpu_seconds:.2f}",
            f"{self.peak_mib:.0f}",
        ]


def make_up(folder: Path, records: int) -> Suite:
    """Lay out a suite and a done record of each of its trials, with epochs that no two share."""
    common = SUITE.partition("experiments:")[0]
    head = common.replace("seeds: 3", f"seeds: {SEEDS}").replace("epochs: 2", f"epochs: {EPOCHS}")
    rows = [
        f"  exp-{n}: {{training: {{optimizer: {{lr: {n / 1000}}}}}}}" for n in range(1, records // SEEDS + 1)
    ]
    suite, store = suite_of(folder, "\n".join([head, "experiments:", *rows, ""])), Store(folder / "results")
    store.save_suite(suite.model_copy(update={"data_digest": record_of(next(suite.trials())).data_digest}))
    chance = random.Random(records)
    for trial in suite.trials():
        path = store.record_path(trial)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(record_of(trial, epochs=list(_epochs(chance))).to_json(), encoding="utf-8")
    return suite


def _epochs(chance: random.Random) -> Iterator[Epoch]:
    for number in range(1, EPOCHS + 1):
        yield Epoch(
            epoch=number,
            lr=0.01,
            train_loss=chance.random(),
            train_accuracy=chance.random(),
            test_loss=chance.random(),
            test_accuracy=chance.random(),
            train_seconds=10 + chance.random(),
            eval_seconds=chance.random(),
        )


def measure(checkout: Path, folder: Path, command: str) -> Usage:
    """Run the checkout's harness in `folder`; raise SystemExit where it fails."""
    env = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONSAFEPATH": "1", "XDG_CACHE_HOME": str(folder)}
    arguments = [sys.executable, "-m", "harness", *COMMANDS[command]]
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, *arguments]
    done = subprocess.run(launcher, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{checkout}: harness {command}: {done.stderr}")
    return Usage(*json.loads(done.stdout))


def measured(checkouts: Sequence[Path], sizes: Sequence[int], rounds: int) -> list[list[Series]]:
    """Run everything in turn, and once before that does not count; return the series of each checkout."""
    cells = [(command, size) for command in COMMANDS for size in sizes]
    runs: list[dict[tuple[str, int], list[Usage]]] = [{cell: [] for cell in cells} for _ in checkouts]
    with TemporaryDirectory(prefix="growth-") as temporary:
        folders = {size: Path(temporary) / str(size) for size in sizes}
        for size, folder in folders.items():
            folder.mkdir()
            make_up(folder, size)
        for number in range(rounds + 1):
            for command, size in cells:
                for checkout, its in zip(checkouts, runs, strict=True):
                    its[command, size].append(measure(checkout, folders[size], command))
            print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
    return [[Series(command, size, its[command, size][1:]) for command, size in cells] for its in runs]


def exponent(series: Sequence[Series]) -> float:
    """Return the power of the number of records with which the computing grows, the start apart.

    From three sizes, each as many times the one before: what the last step adds against the one before.
    """
    small, middle, large = series[-3:]
    steps = (large.cpu_seconds - middle.cpu_seconds) / (middle.cpu_seconds - small.cpu_seconds)
    return math.log(steps) / math.log(large.records / middle.records)


def table(now: Sequence[Series], before: Sequence[Series]) -> str:
    """Write a row for each command and number of records, beside those of an older harness where it ran."""
    head = ["Command", "Records", "Seconds", "CPU seconds", "Peak, MiB", "Growth"]
    head += ["Before: seconds", "CPU seconds", "Peak, MiB", "Growth", "Before / now, CPU"] if before else []
    rows = []
    for index, each in enumerate(now):
        row = [each.command, f"{each.records:,}", *each.cells(), _growth(each, now)]
        if before:
            then = before[index]
            row += [*then.cells(), _growth(then, before), f"{then.cpu_seconds / each.cpu_seconds:.1f}"]
        rows.append(row)
    return markdown.table(head, rows)


def _growth(each: Series, all_: Sequence[Series]) -> str:
    alike = [other for other in all_ if other.command == each.command]
    return f"n^{exponent(alike):.2f}" if each is alike[-1] and len(alike) > 2 else ""


def page(text: str, rounds: int, older: str | None) -> str:
    """Write the table with how it was made."""
    notes = [
        f"Whole processes, from start to end, on made-up records of {EPOCHS} epochs, {SEEDS} seeds an "
        "experiment, one suite.",
        f"Seconds: median (min–max) of {rounds} runs, in turn, after one that does not count. CPU seconds: "
        "median, the system's included. Peak: resident memory, the most of all runs.",
        "Growth: of the CPU seconds with the number of records n, the start apart.",
        f"Load average over the last 5 minutes, with this: {os.getloadavg()[1]:.1f}. What others take of "
        "the cores lengthens the seconds, hardly the CPU seconds.",
        *([f"Before: commit {older}."] if older else []),
        f"On {device_name(torch.device('cpu'))}, {cores()} cores; Python {sys.version.split()[0]}; "
        f"harness {harness.__version__} ({commit() or 'no commit'}); {datetime.now(UTC).date().isoformat()}.",
        "Made with `python -m benchmarks.growth`.",
    ]
    title = "# How `status`, `report` and `plan` grow with the number of records"
    return "\n".join([title, "", text, "", *(f"- {note}" for note in notes), ""])


def main() -> None:
    """Measure, print the page and write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--before", type=Path, help="a folder with an older commit checked out")
    parser.add_argument("--before-commit", help="which one, for the page")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "bench" / "growth.md")
    options = parser.parse_args()
    older = [options.before.resolve()] if options.before else []
    now, *before = measured([ROOT, *older], options.sizes, options.rounds)
    text = page(table(now, before[0] if before else []), options.rounds, options.before_commit)
    options.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
