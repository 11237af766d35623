"""A suite's results, runs that train its trials and a monitor, on a clock that the test moves."""

from __future__ import annotations

import dataclasses
from typing import Any

from harness.config.suite import Suite, Trial
from harness.results.lease import Lease, Leases
from harness.results.lease_owner import this_process
from harness.results.lease_progress import LeaseProgress
from harness.results.store import Store
from harness.tracking.monitor.monitor import Monitor
from tests.support.records import epochs_of

STALE_SECONDS = 6000.0  # a heart beats only when the test says so


@dataclasses.dataclass
class Scene:
    """A suite's results, runs that hold trials of it, and a follower with a clock of its own."""

    store: Store
    suite: Suite
    seconds: float = 0.0
    beats: int = 0
    runs: dict[str, Leases] = dataclasses.field(default_factory=dict)

    def trial(self, experiment: str, seed: int) -> Trial:
        """Return one of the suite's trials."""
        trials = self.suite.trials()
        return next(each for each in trials if (each.experiment, each.seed) == (experiment, seed))

    def take(self, trial: Trial, run: str, *, dead: bool = False, **changes: Any) -> Lease:
        """Have a run take a trial, from another where that is known to be dead."""
        if run not in self.runs:
            me = this_process(run, [0, 0], {}, STALE_SECONDS).model_copy(
                update={"host": run, "process": 5, "machine": "another", **changes}
            )
            self.runs[run] = Leases(self.store, me, now=lambda: self.seconds)
        lease = self.runs[run].take(trial, self.runs[run].dead(trial) if dead else "")
        assert lease is not None
        return lease

    def beat(self, trial: Trial, fraction: float, epoch: int = 0, **changes: Any) -> None:
        """Let the heart of the trial's holder beat once."""
        last = epochs_of(trial, 0.6)[epoch - 1].model_copy(update=changes) if epoch else None
        speed = 12345.6 if epoch else None
        lease_progress = LeaseProgress(fraction=fraction, epochs=2, last=last, samples_per_second=speed)
        self.write(trial, lease_progress.line())

    def write(self, trial: Trial, line: bytes) -> None:
        """Write how far a trial is into its claim, in place."""
        self.beats += 1
        path = max(self.store.record_path(trial).parent.glob(f"seed-{trial.seed}-*.claim-*"))
        head = path.read_bytes().partition(b"\n")[0]
        with path.open("r+b") as file:
            file.write(head + b"\n%020d %s\n" % (self.beats, line))

    def monitor(self, store: Store | None = None) -> Monitor:
        """Return a new follower."""
        return Monitor(store or self.store, lambda: ["small"], lambda: self.seconds)
