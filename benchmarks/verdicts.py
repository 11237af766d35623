"""How often the verdicts beside published figures are wrong, and how often they settle anything, simulated.

`python -m benchmarks.verdicts --trials 100000` writes results/bench/verdicts.md.
"""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path

from benchmarks.contestant import ROOT
from benchmarks.simulated_results import simulated
from benchmarks.verdicts_page import page


def main() -> None:
    """Simulate, print the page and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "bench" / "verdicts.md")
    arguments = parser.parse_args()
    today = f"{datetime.datetime.now(tz=datetime.UTC):%d %B %Y}"
    text = page(simulated(arguments.trials), today)
    arguments.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
