"""A scheduler of a small suite, with made-up ranks, leases and speeds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.config.suite import Trial
from harness.results.estimates import kind_of
from harness.results.lease_owner import LeaseOwner
from harness.runner.placement import Execution
from harness.runner.request import Request
from harness.runner.scheduler import Phase, PhaseScheduler
from harness.runner.timing_cache import Circumstances, TimingCache
from tests.support.records import SUITE, suite_of

SPREAD = Execution(placement="spread")
DDP = Execution(placement="ddp")


class Run:
    """A schedule of a suite on some ranks, with what ended and what was said."""

    def __init__(self, folder: Path, text: str = SUITE, ranks: int = 2, **asked: Any) -> None:
        self.ended: set[str] = set()
        self.held: dict[str, LeaseOwner] = {}
        self.deaths: dict[str, str] = {}
        self.stopping = False
        self.said: list[str] = []
        self.ways = [SPREAD, DDP]
        self.speedups: dict[str, float] = {}
        self.request = Request([suite_of(folder, text)], results=folder / "results", **asked)
        self.scheduler = PhaseScheduler(
            self.request,
            ranks,
            is_open=self.is_open,
            leases=self,
            is_stopping=lambda: self.stopping,
            candidates=lambda left: self.ways,
            speedup=lambda trial: self.speedups.get(trial.experiment),
            circumstances=self.circumstances,
            cache=TimingCache(folder / "paces"),
            say=self.said.append,
        )
        self.trials = {trial.key: trial for trial in self.request.trials}

    def owner(self, trial: Trial) -> LeaseOwner | None:
        return self.held.get(trial.key)

    def dead(self, trial: Trial) -> str:
        return self.deaths.get(trial.key, "")

    def is_open(self, trial: Trial) -> bool:
        return trial.key not in self.ended and self.request.wants(self.request.store.find(trial))

    def circumstances(self, trial: Trial) -> Circumstances:
        return Circumstances(kind=kind_of(trial), devices=["A CPU"], threads=1, versions=[])

    def next(self) -> Phase:
        """Return the next phase; what it trains has ended by the one after it."""
        phase = self.scheduler.next_phase()
        if phase.work == "train":
            self.ended.update(phase.trials)
        return phase

    def learn(self, phase: Phase, *paces: Mapping[Execution, float | None]) -> None:
        for key, each in zip(phase.trials, paces, strict=True):
            self.scheduler.learn(self.trials[key], each)


def spread(engine: Any, *widths: int) -> list[Execution]:
    return [Execution(placement="spread", engine=engine, trials_per_device=width) for width in widths]
