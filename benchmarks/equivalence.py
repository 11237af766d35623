"""Whether precision or the number of ranks changes the accuracy: two one-sided tests over seeds.

The protocol, committed before the runs: experiment 3 on Fashion-MNIST, testing accuracy after the last
epoch; bf16 against fp32 on one rank, and fp32 on two ranks against one. Equivalent means that the mean
difference lies within a margin of 0.3 points, at a level of 0.05 each side (its 90 % interval inside the
margin). Trials are paired by seed, as they share weights and orders. The number of seeds follows from the
standard deviation of ten pilot seeds (1001 to 1010, not used again): the least that gives a power of 0.9
where there is no difference and pairs are not correlated, 20 at least. Seeds 1 to n all count; a failed or
diverged one makes the test void.

    python -m benchmarks.equivalence plan      # the number of seeds, from results/equivalence-pilot
    harness run suites/fashion/equivalence.yaml --nproc 2 --placement spread
    harness run suites/fashion/equivalence.yaml --only fp32 --nproc 2 --placement ddp \\
        --results results/two-ranks
    python -m benchmarks.equivalence verdict   # writes results/equivalence/verdict.md
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from harness.markdown import table
from harness.report.verdict import finding
from harness.results.record import Record
from harness.stats import paired

MARGIN_POINTS = 0.3
LEVEL = 0.05
POWER = 0.9
LEAST_SEEDS = 20


def power(seeds: int, std_points: float, margin_points: float = MARGIN_POINTS) -> float:
    """Return the power of the paired tests where there is no difference and each arm has this deviation.

    Integrates over the deviation that will be seen (a chi distribution), given which the mean difference is
    normal: K. F. Phillips, "Power of the two one-sided tests procedure in bioequivalence", 1990.
    """
    freedom = seeds - 1
    std = std_points * math.sqrt(2)
    quantiles = (np.arange(20000) + 0.5) / 20000
    seen = std * np.sqrt(stats.chi2.ppf(quantiles, freedom) / freedom)
    room = margin_points - stats.t.ppf(1 - LEVEL, freedom) * seen / math.sqrt(seeds)
    inside = 2 * stats.norm.cdf(room / (std / math.sqrt(seeds))) - 1
    return float(np.mean(np.where(room > 0, inside, 0.0)))


def seeds_needed(std_points: float) -> int:
    """Return the least number of seeds that reaches the power."""
    return next(n for n in range(LEAST_SEEDS, 10000) if power(n, std_points) >= POWER)


def verdict_row(name: str, first: Sequence[float], second: Sequence[float]) -> list[str]:
    """Return one comparison as a row of the table."""
    difference = paired([100 * (a - b) for a, b in zip(first, second, strict=True)])
    assert difference is not None
    low, high = difference.interval(1 - 2 * LEVEL)
    is_shown = finding(difference, MARGIN_POINTS) == "within"
    verdict = "equivalent" if is_shown else "not shown equivalent"
    cells = [
        f"{100 * statistics.fmean(each):.3f} % ± {100 * statistics.stdev(each):.3f} %"
        for each in (first, second)
    ]
    row = [name, *cells, str(len(first)), f"{difference.estimate:+.3f}"]
    row += [f"{low:+.3f} to {high:+.3f}", verdict]
    return row


def accuracies(folder: Path, seeds: Sequence[int], precision: str, ranks: int) -> list[float]:
    """Return the last testing accuracies of all seeds.

    Raise SystemExit where one is missing, not done, or not of this precision and number of ranks.
    """
    found = []
    for seed in seeds:
        paths = list(folder.glob(f"seed-{seed}-*.json"))
        records = [Record.from_json(path.read_text(encoding="utf-8")) for path in paths]
        if [record.status for record in records] != ["done"]:
            raise SystemExit(
                f"{folder}: expected one done record of seed {seed}: the test is void without it"
            )
        ran = (records[0].settings["training"]["precision"], records[0].hardware.world_size)
        if ran != (precision, ranks):
            raise SystemExit(f"{paths[0]}: found {ran}, expected {(precision, ranks)}")
        found.append(records[0].epochs[-1].test_accuracy)
    return found


def plan(results: Path) -> str:
    """Say how many seeds the pilot asks for."""
    pilot = accuracies(results / "equivalence-pilot" / "fp32", range(1001, 1011), "fp32", 1)
    std = 100 * statistics.stdev(pilot)
    seeds = seeds_needed(std)
    return (
        f"pilot: standard deviation {std:.3f} points (n = 10); {seeds} seeds, power {power(seeds, std):.3f}"
    )


def verdict(results: Path, seeds: Sequence[int]) -> str:
    """Write the table of both comparisons."""
    fp32 = accuracies(results / "equivalence" / "fp32", seeds, "fp32", 1)
    bf16 = accuracies(results / "equivalence" / "bf16", seeds, "bf16", 1)
    two_ranks = accuracies(results / "two-ranks" / "equivalence" / "fp32", seeds, "fp32", 2)
    return "\n".join(
        [
            "# Equivalence of precision and ranks: experiment 3 on Fashion-MNIST",
            "",
            f"Testing accuracy after 10 epochs, paired by seed; {plan(results)}. "
            f"Margin ± {MARGIN_POINTS} points, two one-sided tests at {LEVEL}.",
            "",
            table(
                ["Comparison", "first", "second", "n", "difference (points)", "90 % interval", "verdict"],
                [
                    verdict_row("bf16 against fp32", bf16, fp32),
                    verdict_row("fp32: two ranks against one", two_ranks, fp32),
                ],
            ),
            "",
        ]
    )


def main() -> None:
    """Print the plan, or write and print the verdict."""
    results = Path("results")
    if sys.argv[1:] == ["plan"]:
        print(plan(results))
    elif sys.argv[1:] == ["verdict"]:
        pilot = accuracies(results / "equivalence-pilot" / "fp32", range(1001, 1011), "fp32", 1)
        seeds = range(1, seeds_needed(100 * statistics.stdev(pilot)) + 1)
        text = verdict(results, seeds)
        (results / "equivalence" / "verdict.md").write_text(text, encoding="utf-8")
        print(text)
    else:
        raise SystemExit("usage: python -m benchmarks.equivalence plan | verdict")


if __name__ == "__main__":
    main()
