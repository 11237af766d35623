"""The trials that a run may still take: not tried by it yet, recorded by nobody, held by nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from harness.config.suite import Trial
from harness.errors import LostLeaseError
from harness.results.lease import Lease, Leases
from harness.results.lease_owner import LeaseOwner
from harness.results.record import Record
from harness.runner.placement import Execution
from harness.runner.record_writer import RecordWriter
from harness.runner.request import Request
from harness.training.distributed import RunRanks

DEATHS = 3


@dataclass
class TrialQueue:
    """Hands trials out; `tries` are those before this run, by trial, where there were any."""

    request: Request
    run_ranks: RunRanks
    leases: Leases
    record_writer: RecordWriter
    say: Callable[[str], None]
    tries: dict[str, int]

    def is_open(self, trial: Trial) -> bool:
        """Tell whether the trial is to be trained, by this run or another; no run tries one twice."""
        if any(self.run_ranks.get(f"{how}/{trial.key}") is not None for how in ("ended", "failed")):
            return False
        found = self.request.store.find(trial)
        known = self.tries.get(trial.key, 0)
        return self.request.wants(found) and (found.record is None or _tries(found.record) == known)

    def take(self, trial: Trial, execution: Execution, dead: str = "") -> Lease | None:
        """Claim the trial; None where another has it or has ended it, or where it killed too many workers.

        `dead` is the token of a holder that another rank has found to be so.
        """
        is_done = self.request.store.record_path(trial).exists()  # quicker than to claim it first
        lease = None if is_done else self.leases.take(trial, dead)
        if lease is None:
            return None
        if not self.is_open(trial):  # recorded between the look and the claim
            self.leases.release(trial, lease)
            return None
        before, me = lease.before, self.leases.me
        if before is None:
            return lease
        if before.run != me.run:
            self.say(f"{trial.key}: taken over from {before}, which gives no sign of life")
        elif before.start[0] < me.start[0] and not self._is_spared(trial, before):
            try:
                return self._after_death(trial, lease, execution, before)
            except LostLeaseError as lost:
                self.say(str(lost))
                return None
        return lease

    def _is_spared(self, trial: Trial, before: LeaseOwner) -> bool:
        """Tell whether its process ended for a reason that lay elsewhere."""
        return self.run_ranks.run.get(f"spared/{before.start[0]}/{trial.key}") is not None

    def _after_death(
        self, trial: Trial, lease: Lease, execution: Execution, before: LeaseOwner
    ) -> Lease | None:
        """Record that a worker of this run was ended in the midst of the trial."""
        self.leases.check(trial, lease)
        error = f"a worker that trained it was ended by the system (it was claimed by {before})"
        deaths = self.record_writer.enter_death(trial, error, execution)
        if deaths < DEATHS:
            self.say(f"{trial.key}: {error}; it goes on from its last checkpoint ({deaths} of {DEATHS})")
            return lease
        self.record_writer.enter_failure(
            trial, f"set aside: {DEATHS} workers were ended while they trained it", execution
        )
        self.say(f"{trial.key}: set aside as failed, {DEATHS} workers were ended while they trained it")
        self.run_ranks.set(f"failed/{trial.key}", error)
        self.leases.release(trial, lease)
        return None


def tries_before(request: Request) -> str:
    """Return, as JSON, how often each trial that has a record and is not done was tried."""
    found = (request.store.find(trial) for trial in request.trials)
    records = [(each.trial.key, each.record) for each in found if each.record and each.state != "done"]
    return json.dumps({key: _tries(record) for key, record in records})


def _tries(record: Record) -> int:
    """Count the attempts that ended by themselves."""
    return sum(attempt.status != "killed" for attempt in record.attempts)
