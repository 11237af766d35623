"""Queue of the trials that a run may still take: not tried by it yet, not recorded, not leased."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from harness.config.suite import Trial
from harness.errors import LostLeaseError
from harness.results.lease import Lease, Leases
from harness.results.lease_owner import LeaseOwner
from harness.results.record import Record
from harness.results.superseded import set_aside_other_data
from harness.runner import keys
from harness.runner.placement import Execution
from harness.runner.record_writer import RecordWriter
from harness.runner.request import Request
from harness.training.distributed import RunRanks

DEATHS = 3


@dataclass
class TrialQueue:
    """Queue that leases trials to this rank; `tries` are the attempts before this run by trial, if any."""

    request: Request
    run_ranks: RunRanks
    leases: Leases
    record_writer: RecordWriter
    say: Callable[[str], None]
    tries: dict[str, int]

    def is_open(self, trial: Trial) -> bool:
        """Return whether the trial is to be trained, by this run or another; no run tries one twice."""
        if any(self.run_ranks.get(key(trial.key)) is not None for key in (keys.ended, keys.failed)):
            return False
        found = self.request.store.find(trial)
        known = self.tries.get(trial.key, 0)
        return self.request.wants(found) and (found.record is None or _tries(found.record) == known)

    def take(self, trial: Trial, execution: Execution, dead: str = "") -> Lease | None:
        """Lease the trial; return None if another run has it or ended it, or if it must not be trained here.

        It must not if it has killed too many workers, or if the user's code has changed since the run
        started. `dead` is the token of a lease owner that another rank has found dead.
        """
        lease = self._take(trial, execution, dead)
        reason = self.record_writer.guard.refusal(trial) if lease else ""
        if lease is None or not reason:
            return lease
        try:
            self.leases.check(trial, lease)
            self.record_writer.enter_failure(trial, reason, execution)
            self.say(f"{trial.key}: failed, {reason}")
        except LostLeaseError as lost:
            self.say(str(lost))
        self.run_ranks.set(keys.failed(trial.key), reason)
        self.leases.release(trial, lease)
        return None

    def _take(self, trial: Trial, execution: Execution, dead: str) -> Lease | None:
        has_record = self.request.store.record_path(trial).exists()
        is_done = has_record and not self.is_open(trial)  # quicker than taking the lease first
        lease = None if is_done else self.leases.take(trial, dead)
        if lease is None:
            return None
        if not self.is_open(trial):  # recorded since that check
            self.leases.release(trial, lease)
            return None
        if aside := set_aside_other_data(self.request.store, trial):
            self.say(
                f"{trial.key}: made from other data, set aside as {', '.join(each.name for each in aside)}"
            )
        before, me = lease.before, self.leases.me
        if before is None:
            return lease
        if before.run != me.run:
            self.say(f"{trial.key}: taken over from {before}, which has no heartbeat any more")
        elif before.start[0] < me.start[0] and not self._is_spared(trial, before):
            try:
                return self._after_death(trial, lease, execution, before)
            except LostLeaseError as lost:
                self.say(str(lost))
                return None
        return lease

    def _is_spared(self, trial: Trial, before: LeaseOwner) -> bool:
        """Return whether the owner's process ended for a reason outside this trial."""
        return self.run_ranks.run.get(keys.spared(before.start[0], trial.key)) is not None

    def _after_death(
        self, trial: Trial, lease: Lease, execution: Execution, before: LeaseOwner
    ) -> Lease | None:
        """Record that a worker of this run was killed during the trial; return the lease, if it may go on."""
        self.leases.check(trial, lease)
        error = f"a worker that trained it was ended by the system (it was leased by {before})"
        deaths = self.record_writer.enter_death(trial, error, execution)
        if deaths < DEATHS:
            self.say(f"{trial.key}: {error}; it goes on from its last checkpoint ({deaths} of {DEATHS})")
            return lease
        self.record_writer.enter_failure(
            trial, f"set aside: {DEATHS} workers were ended while they trained it", execution
        )
        self.say(f"{trial.key}: set aside as failed, {DEATHS} workers were ended while they trained it")
        self.run_ranks.set(keys.failed(trial.key), error)
        self.leases.release(trial, lease)
        return None


def tries_before(request: Request) -> str:
    """Return, as JSON, the number of attempts of each trial that has a record and is not done."""
    found = (request.store.find(trial) for trial in request.trials)
    records = [(each.trial.key, each.record) for each in found if each.record and each.state != "done"]
    return json.dumps({key: _tries(record) for key, record in records})


def _tries(record: Record) -> int:
    """Count the attempts that were not killed."""
    return sum(attempt.status != "killed" for attempt in record.attempts)
