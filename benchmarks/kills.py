"""A drill: runs are killed hundreds of times, at random and in the midst of what they write.

`python -m benchmarks.kills --kills 200 --seed 1` writes results/bench/kills.md.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contestant import ROOT
from benchmarks.kill_case import Case, Figures, cases
from benchmarks.kill_checks import Tally
from benchmarks.kill_plan import Plan
from benchmarks.kill_round import Round
from benchmarks.kills_page import page
from benchmarks.machine import machine


@dataclass
class Drills:
    """Kills through rounds of all cases until there were enough kills."""

    plan: Plan
    folder: Path
    cases: Sequence[Case]
    tally: Tally = field(default_factory=Tally)
    rounds: int = 0
    starts: int = 0

    def run(self) -> None:
        """Train every case undisturbed, then under kills, in turn."""
        expected: dict[str, Figures] = {}
        for case in itertools.cycle(self.cases):
            if self.plan.is_over:
                return
            if case.name not in expected:
                expected[case.name] = case.figures(self.folder / f"undisturbed-{len(expected)}")
            self._round(case, expected[case.name])

    def _round(self, case: Case, expected: Figures) -> None:
        self.rounds += 1
        before, started = len(self.tally.faults), time.monotonic()
        each = Round(case, expected, self.folder / f"round-{self.rounds}", self.plan, self.tally)
        each.run()
        self.starts += each.starts
        faults = self.tally.faults[before:]
        if not faults:
            shutil.rmtree(each.folder)
        print(
            f"round {self.rounds} ({case.name}): {len(self.plan.hits)} kills, {each.starts} starts, "
            f"{time.monotonic() - started:.0f} s, {self.tally.leftovers.total()} left over",
            *faults,
            sep="\n  ",
            flush=True,
        )


def main() -> None:
    """Kill, print what happens, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--inside", type=int, default=20, help="of them within each place")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "bench" / "kills.md")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kills-"))
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    plan = Plan(arguments.kills, arguments.inside, random.Random(arguments.seed))
    drills = Drills(plan, folder, cases())
    started = time.monotonic()
    drills.run()
    seconds = time.monotonic() - started
    text = page(plan, drills.tally, drills.rounds, drills.starts, seconds, machine(), arguments.seed)
    arguments.output.write_text(text, encoding="utf-8")
    print(text)
    if drills.tally.faults:
        raise SystemExit(f"{len(drills.tally.faults)} faults; their rounds are kept in {folder}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
