"""One round: a suite in a fresh folder, run and killed until all its trials are done."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.kill_case import Case, Figures
from benchmarks.kill_checks import (
    Records,
    Tally,
    check_figures,
    check_leftovers,
    check_output,
    check_starts,
)
from benchmarks.kill_plan import Chooser
from tests.support.fault_hook.drill import Drill, Hit, Order

STALLED_SECONDS = 180.0
LATEST_SECONDS = 6.0  # of a random moment, since the kill before
PATIENCE_SECONDS = 8.0  # with an order that nobody comes to carry out
_LOOK_SECONDS = 0.02


class Stalled(Exception):  # noqa: N818
    """Ends a round in which nothing happens any more."""


@dataclass
class Round:
    """Runs a case in a folder of its own under the kills of a plan."""

    case: Case
    expected: Figures
    folder: Path
    plan: Chooser
    tally: Tally
    starts: int = 0
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.suite = self.case.suite(self.folder)
        self.results = self.folder / "results" / self.suite.folder
        self.drill = Drill(self.folder)
        self.records = Records(self.results, self.tally)

    def run(self) -> None:
        """Run, kill and start again until all trials are done; then check what is there."""
        try:
            self._until_done()
            check_figures(self.tally, self.case, self.records, self.expected)
            check_leftovers(self.tally, self.results)
        except Stalled as error:
            self.tally.faults.append(f"{self.case.name}: {error}")
        finally:
            self.drill.kill(self.drill.processes())
        check_starts(self.tally, self.drill.events())
        logs = [path.read_text(encoding="utf-8", errors="replace") for path in self.folder.glob("run-*.log")]
        check_output(self.tally, logs)

    def _until_done(self) -> None:
        self._start()
        after_death = False
        while True:
            if not self.plan.is_over and not self._has_ended():
                order = self.plan.next_order(after_death=after_death)
                after_death = False
                if hit := self._killed(order):
                    self._after(hit)
                    after_death = self.process.pid not in hit.killed
                continue
            self._wait(self._has_ended, "the end of the run")
            self._check_exit()
            if self.process.returncode == 0:
                self._wait(lambda: not self.drill.processes(), "the end of all processes")
                return
            self._start()

    def _start(self) -> None:
        self.starts += 1
        ranks = self.plan.chance.choice(self.case.ranks)
        self.process = self.case.start(self.folder, ranks, self.folder / f"run-{self.starts}.log")

    def _killed(self, order: Order) -> Hit | None:
        """Carry the order out, or have it carried out; return None where the run has ended before."""
        return self._killed_here(order) if order.place == "any" else self._killed_there(order)

    def _killed_here(self, order: Order) -> Hit | None:
        self._wait_for(self._has_ended, self.plan.chance.uniform(0, LATEST_SECONDS))
        targets: list[int] = []
        while not targets and not self._has_ended():  # there may be no rank at this moment
            targets = self.drill.targets(order.victim, self.process.pid, self.plan.chance.choice)
        if not targets:
            return None
        self.drill.kill(targets)
        return Hit(order, 0, "", targets)

    def _killed_there(self, order: Order) -> Hit | None:
        comes_once = order.place == "attempt"
        self._wait_for(self._has_ended, 0 if comes_once else self.plan.chance.uniform(0, 1))
        self.drill.arm(order)
        patience = STALLED_SECONDS if comes_once else PATIENCE_SECONDS
        self._wait_for(lambda: self.drill.hit(order) or self._has_ended(), patience)
        if self.drill.hit(order) is None and self.drill.disarm(order):
            return None
        self._wait(lambda: self.drill.hit(order) is not None, "a kill under way")
        return self.drill.hit(order)

    def _after(self, hit: Hit) -> None:
        """Wait until who was killed has ended, and check the records; start again what they were."""
        self.plan.hits.append(hit)
        self._wait(lambda: not any(map(self.drill.has, hit.killed)), "the end of the killed")
        if self.process.pid in hit.killed:
            self.process.wait()
            if self.plan.chance.random() < 0.5:  # else the next run meets the ranks of this one
                self._wait(lambda: not self.drill.processes(), "the end of the ranks of a killed launcher")
        self.records.look(f"{self.case.name}, kill {len(self.plan.hits)} ({hit.order.place})")
        if self.process.pid in hit.killed:
            self._start()

    def _check_exit(self) -> None:
        code, left = self.process.returncode, len(self.expected) - len(self.records_done())
        if (code == 0) != (left == 0) or code not in {0, 1}:
            self.tally.faults.append(f"{self.case.name}: exit code {code} with {left} trials left")
            raise Stalled("the run ended otherwise than it should")

    def records_done(self) -> list[Path]:
        """List the records that are there now."""
        self.records.look(f"{self.case.name}, a run has ended")
        return list(self.records.seen)

    def _has_ended(self) -> bool:
        return self.process.poll() is not None

    def _wait(self, ready: Callable[[], object], what: str) -> None:
        if not self._wait_for(ready, STALLED_SECONDS):
            self._show_stacks()
            raise Stalled(f"{what} has not come within {STALLED_SECONDS:.0f} s")

    def _wait_for(self, ready: Callable[[], object], seconds: float) -> bool:
        until = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > until:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def _show_stacks(self) -> None:
        """Have all processes write into their log where they are."""
        for pid in self.drill.processes():
            os.kill(pid, signal.SIGUSR1)
        time.sleep(2)
