"""Fault drill: interrupts a short trial in several ways and checks that its record stays the same."""

from __future__ import annotations

import itertools
import math
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import environment, program
from harness.config.suite import Trial
from harness.errors import CrashError
from harness.results.procfs import children
from harness.results.record import Epoch
from harness.results.store import Store

_POLL_SECONDS = 0.01
_CLOSE = 1e-9

Break = Callable[["Running"], None]


@dataclass(frozen=True)
class Running:
    """Process of a run, the folder of its results, and the file that requests its stop."""

    process: subprocess.Popen[str]
    results: Path
    stop_file: Path

    @property
    def ranks(self) -> list[int]:
        """List the process ids of its ranks."""
        return children(self.process.pid)


@dataclass(frozen=True)
class Interruption:
    """A way to interrupt a run; the trial starts with `ranks` ranks and resumes with `then`."""

    name: str
    ranks: int
    then: int
    breaks: Break


@dataclass(frozen=True)
class DrillOutcome:
    """Largest relative difference between the metrics of an interrupted and the uninterrupted trial."""

    name: str
    ranks: str
    difference: float | None
    is_equal: bool

    def __str__(self) -> str:
        if self.difference is None:
            found = "ended before it could be interrupted; more --epochs help"
        elif self.difference == 0:
            found = "equal, bit for bit"
        else:
            found = f"{'equal' if self.is_equal else 'DIFFERS'}, by {self.difference:.1e} at most"
        return f"{self.name:32} {self.ranks:12} {found}"


@dataclass(frozen=True)
class FaultDrill:
    """Drill of one trial on `ranks` ranks in `folder`; `arguments` make the harness train it alone.

    At most `most` ranks can be started here, each on a GPU of its own; None on a CPU.
    """

    trial: Trial
    arguments: Sequence[str]
    ranks: int
    folder: Path
    env: Mapping[str, str]
    most: int | None = None

    def tell(self, say: Callable[[str], None]) -> bool:
        """Report every outcome, then what cannot be tried here; return whether all records are equal."""
        is_equal = True
        for outcome in self.outcomes():
            say(str(outcome))
            is_equal &= outcome.is_equal
        for line in not_tried(self.ranks, self.most):
            say(line)
        return is_equal

    def outcomes(self) -> Iterator[DrillOutcome]:
        """Train uninterrupted, then once with each interruption; raise CrashError if a run fails."""
        number = itertools.count()
        whole = self._start(self.folder / "whole", self.ranks, 0)
        self._finish(whole)
        expected = self._figures(whole.results)
        for interruption in interruptions(self.ranks, self.most):
            yield self._broken(interruption, self.folder / str(next(number)), expected)

    def _broken(self, interruption: Interruption, results: Path, expected: Sequence[float]) -> DrillOutcome:
        running = self._start(results, interruption.ranks, 0)
        try:
            is_broken = self._wait_for_checkpoint(running)
            if is_broken:
                interruption.breaks(running)
            running.process.communicate()
        finally:
            running.process.kill()
        self._finish(self._start(results, interruption.then, 1))
        ranks = f"{interruption.ranks} rank{'s' * (interruption.ranks > 1)}" + (
            f", then {interruption.then}" if interruption.then != interruption.ranks else ""
        )
        pairs = zip(self._figures(results), expected, strict=True)
        difference = max(abs(found - value) / max(abs(value), 1e-300) for found, value in pairs)
        is_equal = difference == 0 if interruption.then == interruption.ranks else difference <= _CLOSE
        return DrillOutcome(interruption.name, ranks, difference if is_broken else None, is_equal)

    def _start(self, results: Path, ranks: int, restart: int) -> Running:
        job = results.with_name(f"{results.name}.{restart}")
        command = [*program.command(), "run", *self.arguments]
        command += ["--results", str(results), "--nproc", str(ranks), "--placement", "ddp"]
        env = {**self.env, environment.JOB_FILES: str(job)}
        process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return Running(process, results, Path(f"{job}.stop"))

    def _finish(self, running: Running) -> None:
        try:
            output, _ = running.process.communicate()
        finally:
            running.process.kill()
        if running.process.returncode != 0:
            raise CrashError(
                f"a run of the drill ended with exit code {running.process.returncode}:\n{output}"
            )

    def _wait_for_checkpoint(self, running: Running) -> bool:
        """Wait for the trial's first checkpoint; return whether its run is still under way then."""
        paths = Store(running.results).checkpoint_paths(self.trial)
        while running.process.poll() is None:
            if any(path.exists() for path in paths):
                return True
            time.sleep(_POLL_SECONDS)
        return False

    def _figures(self, results: Path) -> list[float]:
        found = Store(results).find(self.trial)
        if found.record is None or found.state != "done":
            raise CrashError(f"a run of the drill left the trial {found.state}, expected it done")
        return [figure for epoch in found.record.epochs for figure in _of_epoch(epoch)]


def interruptions(ranks: int, most: int | None = None) -> list[Interruption]:
    """List the interruptions of a run of `ranks` ranks if at most `most` can be started."""
    other = 1 if ranks > 1 else 2
    found = [
        Interruption("SIGKILL of all ranks", ranks, ranks, _kill_all),
        Interruption("SIGKILL of the launcher", ranks, ranks, lambda run: run.process.kill()),
        Interruption("SIGTERM", ranks, ranks, lambda run: run.process.terminate()),
        Interruption("Ctrl-C", ranks, ranks, lambda run: run.process.send_signal(signal.SIGINT)),
        Interruption("STOP file", ranks, ranks, lambda run: run.stop_file.touch()),
    ]
    if ranks > 1:
        one = Interruption(
            "SIGKILL of one rank", ranks, ranks, lambda run: os.kill(run.ranks[-1], signal.SIGKILL)
        )
        found.insert(0, one)
    if most is None or other <= most:
        found.append(
            Interruption("SIGTERM, another world size", ranks, other, lambda run: run.process.terminate())
        )
    return found


def not_tried(ranks: int, most: int | None) -> list[str]:
    """List the interruptions that cannot be tried on `ranks` ranks if at most `most` can be started."""
    known = {interruption.name for interruption in interruptions(ranks, most)}
    here = "1 GPU" if most == 1 else "1 rank"
    return [
        f"{interruption.name:32} not tried, it needs 2 ranks: found {here}"
        for interruption in interruptions(2)
        if interruption.name not in known
    ]


def _kill_all(running: Running) -> None:
    for rank in running.ranks:
        os.kill(rank, signal.SIGKILL)


def _of_epoch(epoch: Epoch) -> list[float]:
    return [figure if math.isfinite(figure) else 0.0 for figure in epoch.reproducible.values()]
