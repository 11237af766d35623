"""What becomes of a trial that raised an error: recorded as failed, or begun again elsewhere."""

from __future__ import annotations

import sys
import threading
import traceback
from dataclasses import dataclass, field

import torch

from harness.config.suite import Trial
from harness.errors import CrashError, LostClaimError, LostRankError, StoreError
from harness.results import provenance
from harness.results.lease import Claim
from harness.results.record import EngineName
from harness.runner.heartbeat import Pulse
from harness.runner.placement import Execution
from harness.runner.trial_queue import Pool
from harness.training.device import is_spoiled, still_works
from harness.training.distributed import Fleet, World
from harness.training.engine import default_engine

_AT_ONCE = "trials at once"


@dataclass
class Recovery:
    """Knows which trials are `running` on this rank, and that its device takes `at_most` so many at once."""

    fleet: Fleet
    pulse: Pulse
    pool: Pool
    running: dict[str, tuple[Execution, str]] = field(default_factory=dict)
    at_most: int = field(init=False)

    def __post_init__(self) -> None:
        self.at_most = int(self.fleet.run.look(_AT_ONCE) or sys.maxsize)

    def engine_of(self, trial: Trial) -> EngineName | None:
        """Return how a running trial's steps are to be executed, None for the device's own way."""
        execution, _ = self.running[trial.key]
        return "eager" if self.fleet.run.look(_eagerly(trial)) else execution.engine

    def execute_eagerly(self, trial: Trial) -> None:
        """Have the trials of this one's experiment executed eagerly from now on: a capture of it broke."""
        self.fleet.run.put(_eagerly(trial), "yes")

    def failed(self, trial: Trial, error: str) -> None:
        """Record a failure, once however many ranks report it, and let all ranks know."""
        if self.fleet.count(f"failed/{trial.key}/reports") > 1:
            return
        if claim := self.pool.claims.ours(trial):
            unknown = Execution(placement="spread"), provenance.now()
            try:
                self.pool.ledger.enter_failure(trial, error, *self.running.get(trial.key, unknown))
            except LostClaimError as lost:
                self.pulse.events.note(str(lost))
            self.pool.claims.release(trial, claim)
        self.pulse.events.tell_end(trial.key, f"failed, {error.strip().splitlines()[-1]}")
        self.fleet.put(f"failed/{trial.key}", error)

    def after_store_error(self, trial: Trial, claim: Claim, ranks: World, error: StoreError) -> None:
        """End the run, as no trial can leave its record, unless another run has swept up after this one."""
        try:
            self.pool.claims.check(trial, claim)
        except LostClaimError as lost:
            if ranks.world_size > 1:
                raise CrashError(str(lost)) from None  # the other ranks wait for this one
            self.pulse.events.note(str(lost))
        else:
            raise error

    def start_again_eagerly(self, trial: Trial, claim: Claim, ranks: World, reason: str) -> None:
        """Start all ranks again, in place: there the trial is executed eagerly."""
        if ranks.owns:
            self.pulse.events.note(f"{trial.key}: {reason}")
            self.execute_eagerly(trial)
            self.pool.claims.release(trial, claim)
        self.pulse.restart_together()

    def after_error(self, trial: Trial, ranks: World, error: Exception) -> None:
        """Record the failure, unless it is not the trial's own; leave where this process cannot go on."""
        if ranks.world_size > 1 and (silent := self.pulse.silent()):
            raise LostRankError(f"rank {', '.join(map(str, silent))} ended while {trial.key} was trained")
        if ranks.world_size == 1 and self._is_left_for_later(trial, error):
            return
        text = "".join(traceback.format_exception(error))
        works = ranks.world_size > 1 or still_works(self.fleet.device)
        if not works and len(self.running) > 1:
            self.fleet.run.put(_AT_ONCE, "1")
            self.pulse.spare_others()
            raise CrashError(
                f"an error in one of {', '.join(self.running)} left the GPU of rank {self.fleet.rank} "
                f"unusable; they go on one at a time\n{text}"
            )
        self.failed(trial, text)
        if ranks.world_size > 1:
            threading.Event().wait()  # the pulse starts all ranks again
        if not works:
            raise CrashError(f"{trial.key}: its error left the GPU of rank {self.fleet.rank} unusable")

    def _is_left_for_later(self, trial: Trial, error: Exception) -> bool:
        """Tell whether the trial begins again: with more memory, or in a process where no capture broke.

        A trial alone that lacks memory does so eagerly, as graphs have memory of their own.
        """
        others = len(self.running) - 1
        if isinstance(error, torch.OutOfMemoryError) and others:
            self.at_most = min(self.at_most, others)
            self.fleet.run.put(_AT_ONCE, str(self.at_most))
            text = (
                f"out of memory with {others + 1} trials at once: it is trained later, with {others} at most"
            )
        elif isinstance(error, torch.OutOfMemoryError) and self._is_captured(trial):
            self.execute_eagerly(trial)
            text = "out of memory: its experiment is trained eagerly from here on, as graphs take memory"
        elif is_spoiled() and not self.fleet.run.look(_eagerly(trial)):
            self.execute_eagerly(trial)
            text = f"a capture broke in this process: it is trained again, eagerly, in another: {error}"
        else:
            return False
        self.pulse.events.note(f"{trial.key}: {text}")
        return True

    def _is_captured(self, trial: Trial) -> bool:
        return (self.engine_of(trial) or default_engine(self.fleet.device)) == "graph"


def _eagerly(trial: Trial) -> str:
    """Return the key that is there where an experiment's trials are to be executed eagerly."""
    return f"eagerly/{trial.folder}/{trial.experiment}"
