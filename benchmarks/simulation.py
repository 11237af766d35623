"""The starting order at scale: 100,000 uneven trials on 4,096 ranks that die, under a simulated clock.

`python -m benchmarks.simulation` writes results/bench/simulation.md, the same on every machine.
"""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.contestant import ROOT
from benchmarks.simulated_fleet import (
    DEATH_HOURS,
    HOUR,
    LOSS_HOURS,
    RESTART_SECONDS,
    Fleet,
    lower_bound,
    mortal,
)
from benchmarks.simulated_run import STALE_SECONDS, Look, simulate
from benchmarks.simulated_suite import LONG_HOURS, Suite, made_up, orders
from harness.markdown import table

JOBS, RANKS_PER_JOB = 512, 8
EXPERIMENTS, SEEDS = 1000, 100
REPETITIONS = 5
OFTEN = (1.0, 0.0, 10.0)  # how many times as often as usual ranks die and jobs are lost
LOOK: Look = "job at the end"  # as the harness does
LOOKS: dict[Look, str] = {
    "job at the end": "when all a job's ranks have come to the end of its list (the harness)",
    "rank at the end": "when one rank has come to the end of its job's list",
    "always": "whenever a rank takes a trial",
}


@dataclass(frozen=True)
class Result:
    """What one order led to, against the time before which no order could end."""

    ratio: float
    hours: float
    deaths: int
    jobs_lost: int
    set_back: int
    redone_hours: float
    idle_hours: float
    looks_per_second: float

    @classmethod
    def of(cls, suite: Suite, order: Sequence[int], fleet: Fleet, look: Look) -> Result:
        """Simulate the run."""
        bound = lower_bound(suite.work, fleet)
        outcome = simulate([suite.work[place] for place in order], fleet, look)
        return cls(
            outcome.makespan / bound,
            outcome.makespan / HOUR,
            outcome.deaths,
            outcome.jobs_lost,
            outcome.set_back,
            outcome.redone_seconds / HOUR,
            outcome.idle_seconds / HOUR,
            outcome.looks / outcome.makespan,
        )


# By the name of a row, then by how often ranks die: the result of every repetition.
Results = defaultdict[str, defaultdict[float, list[Result]]]


def simulated(repetitions: int) -> tuple[Results, Results]:
    """Simulate every order, and under the first of them every way to look for trials."""
    by_order: Results = defaultdict(lambda: defaultdict(list))
    by_look: Results = defaultdict(lambda: defaultdict(list))
    for seed in range(1, repetitions + 1):
        suite = made_up(EXPERIMENTS, SEEDS, seed)
        until = 4 * sum(each.seconds for each in suite.work) / (JOBS * RANKS_PER_JOB)
        fleets = {often: mortal(JOBS, RANKS_PER_JOB, until, seed, often) for often in OFTEN}
        named = dict(orders(suite, seed))
        known = next(iter(named.values()))
        for often, fleet in fleets.items():
            for name, order in named.items():
                by_order[name][often].append(Result.of(suite, order, fleet, LOOK))
            for look, name in LOOKS.items() if often else ():
                by_look[name][often].append(Result.of(suite, known, fleet, look))
        print(f"{seed} of {repetitions}", file=sys.stderr, flush=True)
    return by_order, by_look


def order_table(results: Results) -> str:
    """Write a row for each order."""
    head = ["Order", "Makespan, h", "Makespan / bound", "… no deaths", "… ten times the deaths"]
    head += ["Deaths", "of them whole jobs", "Trials set back", "Trained twice, h"]
    rows = []
    for name, by_often in results.items():
        usual = by_often[1.0]
        ratios = [spread([each.ratio for each in by_often[often]], 3) for often in OFTEN]
        counts = [[each.deaths for each in usual], [each.jobs_lost for each in usual]]
        counts.append([each.set_back for each in usual])
        row = [
            name,
            spread([each.hours for each in usual], 2),
            *ratios,
            *(spread(each, 0) for each in counts),
        ]
        rows.append([*row, spread([each.redone_hours for each in usual], 1)])
    return table(head, rows)


def look_table(results: Results) -> str:
    """Write a row for each way to look for trials that were passed over."""
    head = ["Looked for again", "Makespan / bound", "… ten times the deaths"]
    head += ["Idle, rank-hours", "… ten times the deaths", "Looks a second, all jobs"]
    rows = []
    for name, by_often in results.items():
        usual, often = by_often[1.0], by_often[10.0]
        cells = [spread([each.ratio for each in those], 4) for those in (usual, often)]
        cells += [spread([each.idle_hours for each in those], 2) for those in (usual, often)]
        rows.append([name, *cells, spread([each.looks_per_second for each in usual], 0)])
    return table(head, rows)


def spread(values: Sequence[float], digits: int) -> str:
    """Write `mean (min–max)`."""
    mean, low, high = (f"{each:,.{digits}f}" for each in (statistics.fmean(values), min(values), max(values)))
    return f"{mean} ({low}–{high})"


def page(by_order: Results, by_look: Results) -> str:
    """Write the tables with how they were made."""
    repetitions = len(next(iter(by_order.values()))[1.0])
    title = (
        f"# The starting order: {EXPERIMENTS * SEEDS:,} trials on {JOBS * RANKS_PER_JOB:,} ranks, simulated"
    )
    heading = (
        "With the longest first and times known, when trials that were held or lost are looked for again:"
    )
    parts = [title, order_table(by_order), heading, look_table(by_look), how_it_was_made(repetitions)]
    return "\n\n".join(parts) + "\n"


def how_it_was_made(repetitions: int) -> str:
    """Write what was simulated, and what the columns say."""
    return f"""\
- {EXPERIMENTS * SEEDS:,} trials ({EXPERIMENTS:,} experiments of {SEEDS} seeds) under `spread` on {JOBS} jobs
  of {RANKS_PER_JOB} ranks. Experiments have 10, 20, 50 or 100 epochs of log-normal length (median 25 s, sigma
  0.6), their seeds differ by 5 %; {SEEDS // 5} trials of one take {LONG_HOURS} h.
- A rank dies once in {DEATH_HOURS} h of its own (exponential): its job starts again after
  {RESTART_SECONDS:.0f} s; the other ranks' trials go on where they were, its own goes on from its last
  checkpoint (after each epoch, and every 5 minutes within one). A job is lost for ever once in {LOSS_HOURS} h
  of its own: after {STALE_SECONDS:.0f} s others may take its trials, and go on from their checkpoints.
- Order: by the harness's own function, `starting_order` in `harness/results/estimates.py`. Each job has a
  list of its own, of what is free when it starts; its ranks take the next trial in it that nobody holds. By
  default the harness measures each kind of trial before (`--placement auto`); times are known then.
- Bound: the longest trial alone, or all the work on all ranks that are up at any time, whichever is later. No
  order ends before it.
- Set back: trials of which a part was trained twice. Idle: ranks without a trial while one was free. Looks:
  at trials in lists, one after another, to find one that is free.
- Mean (least–most) of {repetitions} repetitions, each with a suite and deaths of its own, the same for all
  rows. Claims, reading and writing take no time here, and estimates are not corrected on the way.
- Made with `python -m benchmarks.simulation`; the same on every machine."""


def main() -> None:
    """Simulate, print the page and write it."""
    text = page(*simulated(REPETITIONS))
    (ROOT / "results" / "bench" / "simulation.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
