"""Two runs started at the same instant on one fresh folder of results, a hundred times.

`python -m benchmarks.starts --pairs 100` writes results/bench/starts.md.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contestant import ROOT
from benchmarks.kill_case import Case, Figures, small_suite
from benchmarks.kill_checks import Records, Tally, check_figures, check_leftovers
from benchmarks.machine import machine
from harness.markdown import table
from tests.support.fault_hook.drill import Drill

SECONDS = 600
CASE = Case(
    "two runs",
    small_suite("fp32", seeds=2, epochs=2),
    ("--placement", "spread"),
    ranks=(1,),
    is_exact=True,
)
_END = re.compile(r"(\S+): done, ")
_TROUBLE = re.compile(r"Traceback|[Ee]rror:|[Ww]arning:|failed|taken over")
_WAITS = "of the trials left are being trained by process"


@dataclass
class Pairs:
    """Starts pairs of runs, and adds up what came of them."""

    folder: Path
    tally: Tally = field(default_factory=Tally)
    pairs: int = 0
    met: int = 0
    shares: Counter[str] = field(default_factory=Counter)
    waited: int = 0
    expected: Figures = field(init=False)

    def __post_init__(self) -> None:
        self.expected = CASE.figures(self.folder / "alone")
        table = next((self.folder / "alone").rglob("table.md")).read_text(encoding="utf-8")
        self.table = table.partition("\n\n![")[0]  # a terminal shows no pictures

    def start(self, *, meet: bool) -> None:
        """Start two runs at once; let their first claims `meet`, or leave that to chance."""
        self.pairs += 1
        folder = self.folder / f"pair-{self.pairs}"
        folder.mkdir()
        suite, drill = CASE.suite(folder), Drill(folder)
        if meet:
            drill.have_claims_meet()
        logs = [folder / f"run-{number}.log" for number in (1, 2)]
        runs = [CASE.start(folder, 1, log) for log in logs]
        try:
            codes = [run.wait(timeout=SECONDS) for run in runs]
        except subprocess.TimeoutExpired:
            codes = [-1, -1]
        finally:
            drill.kill(drill.processes())
        self.met += drill.has_met()
        before = len(self.tally.faults)
        records = Records(folder / "results" / suite.folder, self.tally)
        records.look(f"pair {self.pairs}")
        check_figures(self.tally, CASE, records, self.expected)
        check_leftovers(self.tally, records.folder)
        self._check_outputs(codes, [log.read_text(encoding="utf-8") for log in logs])
        if len(self.tally.faults) == before:
            shutil.rmtree(folder)

    def _check_outputs(self, codes: Sequence[int], texts: Sequence[str]) -> None:
        """Check how both ended, what they said, and that each trial was trained by one of them."""
        faults = [f"exit codes {codes}"] if any(codes) else []
        ends = [[match[1] for line in text.splitlines() if (match := _END.match(line))] for text in texts]
        every = Counter(itertools.chain(*ends))
        if len(every) != len(self.expected) or set(every.values()) != {1}:
            faults.append(f"told as done: {dict(every)}")
        for number, text in enumerate(texts, 1):
            faults += [f"run {number}: {line}" for line in text.splitlines() if _TROUBLE.search(line)]
            if self.table not in text:
                faults.append(f"run {number} did not print the whole table")
        self.shares[" + ".join(map(str, sorted(map(len, ends), reverse=True)))] += 1
        self.waited += any(_WAITS in text for text in texts)
        self.tally.faults += [f"pair {self.pairs}: {fault}" for fault in faults]


def page(pairs: Pairs, seconds: float, machine: str) -> str:
    """Write what came of the pairs."""
    tally = pairs.tally
    shares = ", ".join(f"{share} in {count}" for share, count in sorted(pairs.shares.items()))
    left = ", ".join(f"{kind} {count}" for kind, count in sorted(tally.leftovers.items())) or "nothing"
    rows: list[tuple[str, object]] = [
        ("pairs of runs", pairs.pairs),
        ("of them such that both wrote their first claim at the same moment", pairs.met),
        (
            "pairs in which both ended with exit code 0 and the same whole table",
            pairs.pairs - _unequal(tally),
        ),
        ("trials with one whole record, equal to the last bit to one that ran alone", tally.exact),
        ("trials trained twice, lost or failed; tracebacks, warnings", len(tally.faults)),
        ("trials that the runs trained of four", shares),
        ("pairs in which a run said for whom it waited", pairs.waited),
        ("left over beside the records", left),
    ]
    parts = [
        "# Two runs started at the same instant",
        table(["Found", ""], [[name, str(value)] for name, value in rows]),
        *(["\n".join(f"- {fault}" for fault in tally.faults)] if tally.faults else []),
        f"""\
- Twice the same command (`harness run`, one rank, four trials of two epochs, fp32) on a fresh folder. In
  every second pair both wait for each other before they write their first claim.
- {seconds / pairs.pairs:.1f} s a pair, beside other work.
- {machine}.
- Made with `python -m benchmarks.starts`.""",
    ]
    return "\n\n".join(parts) + "\n"


def _unequal(tally: Tally) -> int:
    return len({fault.partition(":")[0] for fault in tally.faults})


def main() -> None:
    """Start all pairs, say how it goes, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "bench" / "starts.md")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="starts-"))
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    pairs = Pairs(folder)
    started = time.monotonic()
    for number in range(arguments.pairs):
        pairs.start(meet=number % 2 == 1)
        print(f"pair {pairs.pairs}: {dict(pairs.shares)}", *pairs.tally.faults, sep="\n  ", flush=True)
    text = page(pairs, time.monotonic() - started, machine())
    arguments.output.write_text(text, encoding="utf-8")
    print(text)
    if pairs.tally.faults:
        raise SystemExit(f"{len(pairs.tally.faults)} faults; their pairs are kept in {folder}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
