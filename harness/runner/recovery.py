"""Recovery from a trial's error: record it as failed, train it again later, or restart the ranks."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field

import torch

from harness.config.suite import Trial
from harness.errors import CrashError, LostLeaseError, LostRankError, StoreError
from harness.results import provenance
from harness.results.lease import Lease
from harness.results.record import EngineName
from harness.runner import keys
from harness.runner.heartbeat import Heartbeat
from harness.runner.placement import Execution
from harness.runner.trial_queue import TrialQueue
from harness.training.device import is_spoiled, still_works
from harness.training.distributed import ProcessGroup, RunRanks
from harness.training.engine_choice import default_engine
from harness.user_code import traceback_of


@dataclass
class Recovery:
    """Recovery of one rank from errors; its device can hold `at_most` of the `running` trials at once."""

    run_ranks: RunRanks
    heartbeat: Heartbeat
    trial_queue: TrialQueue
    running: dict[str, tuple[Execution, str]] = field(default_factory=dict)
    at_most: int = field(init=False)

    def __post_init__(self) -> None:
        self.at_most = int(self.run_ranks.run.get(keys.AT_ONCE) or sys.maxsize)

    def engine_of(self, trial: Trial) -> EngineName | None:
        """Return the engine of a running trial, None for the device's default."""
        execution, _ = self.running[trial.key]
        return "eager" if self.run_ranks.run.get(_eagerly(trial)) else execution.engine

    def execute_eagerly(self, trial: Trial) -> None:
        """Execute its experiment's trials eagerly from now on: a capture failed or lacked memory."""
        self.run_ranks.run.set(_eagerly(trial), "yes")

    def failed(self, trial: Trial, error: str) -> None:
        """Record a failure, once even if several ranks report it, and notify all ranks."""
        if self.run_ranks.add(keys.failure_reports(trial.key)) > 1:
            return
        if lease := self.trial_queue.leases.ours(trial):
            unknown = Execution(placement="spread"), provenance.now()
            try:
                self.trial_queue.record_writer.enter_failure(
                    trial, error, *self.running.get(trial.key, unknown)
                )
            except LostLeaseError as lost:
                self.heartbeat.events.note(str(lost))
            self.trial_queue.leases.release(trial, lease)
        self.heartbeat.events.tell_end(trial.key, f"failed, {error.strip().splitlines()[-1]}")
        self.run_ranks.set(keys.failed(trial.key), error)

    def after_store_error(self, trial: Trial, lease: Lease, error: StoreError, *, is_awaited: bool) -> None:
        """Raise the error, as no record can be saved, unless another run took over and swept the files.

        In that case raise CrashError if `is_awaited` by the other ranks of the trial.
        """
        try:
            self.trial_queue.leases.check(trial, lease)
        except LostLeaseError as lost:
            if is_awaited:
                raise CrashError(str(lost)) from None
            self.heartbeat.events.note(str(lost))
        else:
            raise error

    def start_again_eagerly(self, trial: Trial, lease: Lease, ranks: ProcessGroup, reason: str) -> None:
        """Restart all ranks in place; they execute the trial eagerly."""
        if ranks.is_rank_zero:
            self.heartbeat.events.note(f"{trial.key}: {reason}")
            self.execute_eagerly(trial)
            self.trial_queue.leases.release(trial, lease)
        self.heartbeat.restart_together()

    def after_error(self, trial: Trial, ranks: ProcessGroup, error: BaseException) -> None:
        """Record the failure if it is the trial's own; raise an error if this process cannot go on."""
        if ranks.world_size > 1 and (silent := self.heartbeat.silent()):
            raise LostRankError(f"rank {', '.join(map(str, silent))} ended while {trial.key} was trained")
        if ranks.world_size == 1 and self._is_left_for_later(trial, error):
            return
        text = traceback_of(error)
        works = ranks.world_size > 1 or still_works(self.run_ranks.device)
        if not works and len(self.running) > 1:
            self.run_ranks.run.set(keys.AT_ONCE, "1")
            self.heartbeat.spare_others()
            raise CrashError(
                f"an error in one of {', '.join(self.running)} left the GPU of rank {self.run_ranks.rank} "
                f"unusable; they go on one at a time\n{text}"
            )
        self.failed(trial, text)
        if ranks.world_size > 1:
            threading.Event().wait()  # the heartbeat thread restarts all ranks
        if not works:
            raise CrashError(f"{trial.key}: its error left the GPU of rank {self.run_ranks.rank} unusable")

    def _is_left_for_later(self, trial: Trial, error: BaseException) -> bool:
        """Return whether the trial is retried: with more memory, or in a process where no capture broke.

        A trial that lacks memory even alone is executed eagerly then, as graphs have memory of their own.
        """
        others = len(self.running) - 1
        if isinstance(error, torch.OutOfMemoryError) and others:
            self.at_most = min(self.at_most, others)
            self.run_ranks.run.set(keys.AT_ONCE, str(self.at_most))
            text = (
                f"out of memory with {others + 1} trials at once: it is trained later, with {others} at most"
            )
        elif isinstance(error, torch.OutOfMemoryError) and self._is_captured(trial):
            self.execute_eagerly(trial)
            text = "out of memory: its experiment is trained eagerly from here on, as graphs take memory"
        elif is_spoiled() and not self.run_ranks.run.get(_eagerly(trial)):
            self.execute_eagerly(trial)
            text = f"a capture broke in this process: it is trained again, eagerly, in another: {error}"
        else:
            return False
        self.heartbeat.events.note(f"{trial.key}: {text}")
        return True

    def _is_captured(self, trial: Trial) -> bool:
        return (self.engine_of(trial) or default_engine(self.run_ranks.device)) != "eager"


def _eagerly(trial: Trial) -> str:
    return keys.eagerly(f"{trial.folder}/{trial.experiment}")
