"""Main loop of one rank: get the next phase, run its trials, wait for the other ranks."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial

from harness.config.suite import Trial
from harness.data import cache_folder
from harness.errors import LostRankError
from harness.results.lease import Lease
from harness.runner import keys
from harness.runner.autotune import Autotuner
from harness.runner.heartbeat import Heartbeat
from harness.runner.placement import Execution
from harness.runner.request import Request
from harness.runner.scheduler import Phase, PhaseScheduler, candidates
from harness.runner.timing_cache import TimingCache
from harness.runner.trial_queue import TrialQueue
from harness.runner.trial_runner import TrialRunner
from harness.starts import note_training
from harness.training.cost import speedup
from harness.training.device import is_spoiled
from harness.training.distributed import RunRanks
from harness.training.streams import take_turns
from harness.training.throughput import release
from harness.user_code import calling


@dataclass(frozen=True)
class Worker:
    """One rank of a run: it follows the phases of rank 0's scheduler, and trains its trials."""

    request: Request
    run_ranks: RunRanks
    env: Mapping[str, str]
    heartbeat: Heartbeat
    trial_queue: TrialQueue
    trial_runner: TrialRunner

    @cached_property
    def trials(self) -> dict[str, Trial]:
        """Return the trials of the run by their keys."""
        return {trial.key: trial for trial in self.request.trials}

    def run(self) -> None:
        """Train all that remains, together with the other ranks; raise Leave if a signal ends it before."""
        try:
            self._phases()
        except LostRankError as lost:
            for key, reason in lost.trials.items():
                self._stalled(key, reason)
            raise
        finally:
            self.heartbeat.background.finish()
        self.trial_queue.leases.stop()

    def _phases(self) -> None:
        scheduler = self._scheduler()
        for number in range(sys.maxsize):
            name = keys.phase(self.run_ranks.start[1], number)
            if self.run_ranks.is_rank_zero:
                self.run_ranks.set(name, scheduler.next_phase().model_dump_json())
            self.heartbeat.wait(lambda name=name: self.run_ranks.get(name) is not None)  # type: ignore[misc]
            phase = Phase.model_validate_json(self.run_ranks.get(name) or "")
            if phase.work == "end":
                return
            note_training(self.env)
            if self._is_spoiled():
                self.heartbeat.restart_together()
            if phase.work == "measure":
                self._measure(name, phase, scheduler)
                continue
            (execution,) = phase.executions
            width = partial(self._width, execution)
            take_turns(self._steps(name, phase), width, self.run_ranks.device)
            self.heartbeat.background.finish()
            self._barrier(name)

    def _width(self, execution: Execution) -> int:
        return min(execution.trials_per_device, self.trial_runner.recovery.at_most)

    def _barrier(self, name: str) -> None:
        """Wait for the other ranks at the end of a phase."""
        self._is_spoiled()
        self.heartbeat.barrier(name)

    def _is_spoiled(self) -> bool:
        """Return whether a capture has broken in any rank's process; publish whether it has in this one."""
        key = keys.spoiled(self.run_ranks.start[1])
        if is_spoiled():
            self.run_ranks.set(key, "yes")
        return self.run_ranks.get(key) is not None

    def _scheduler(self) -> PhaseScheduler:
        request, ranks = self.request, self.run_ranks.world_size
        is_fatal = bool(self.run_ranks.run.get(keys.MEASURING))  # measuring may have killed a worker
        return PhaseScheduler(
            request,
            ranks,
            is_open=self.trial_queue.is_open,
            leases=self.trial_queue.leases,
            is_stopping=lambda: self.heartbeat.is_stopping,
            candidates=self._candidates,
            speedup=self._speedup,
            circumstances=self.trial_queue.record_writer.circumstances,
            cache=TimingCache(cache_folder(self.env) / "paces"),
            say=self.heartbeat.events.note,
            can_measure=not is_fatal,
        )

    def _candidates(self, left: int) -> list[Execution]:
        """List the executions that are worth measuring for so many remaining trials."""
        is_gpu = self.run_ranks.device.type == "cuda"
        found = candidates(self.request, self.run_ranks.world_size, left, is_gpu=is_gpu)
        return [each for each in found if self._width(each) == each.trials_per_device]

    def _speedup(self, trial: Trial) -> float | None:
        """Estimate how many times as fast as one rank all ranks train the trial."""
        try:
            data, ranks = self.trial_runner.resident(trial)[0], self.run_ranks.world_size
            with calling(trial.key):
                return speedup(trial, data, ranks, self.run_ranks.device)
        except Exception:  # the trial will raise it again, and record it
            return None

    def _measure(self, name: str, phase: Phase, scheduler: PhaseScheduler) -> None:
        """Measure with all ranks and inform the scheduler; after an error nothing more is measured."""
        trials = [self.trials[key] for key in phase.trials]
        self.run_ranks.run.set(keys.MEASURING, "under way")
        trial_progress = self.heartbeat.begin(
            keys.MEASURING, 0, partial(self._stalled, keys.MEASURING), together=self.run_ranks.world_size > 1
        )
        autotuner = Autotuner(
            self.run_ranks, name, phase.executions, self.heartbeat.events.note, trial_progress.move
        )
        failed = False
        try:
            for trial in trials:
                data, _ = self.trial_runner.resident(trial)
                with calling(trial.key):
                    autotuner.measure(trial, data)
        except Exception as error:  # a trial will raise it again, and record it
            failed = True
            self._stalled(keys.MEASURING, str(error))
            if self.run_ranks.world_size > 1:
                threading.Event().wait()  # the heartbeat thread restarts all ranks
            scheduler.can_measure = False
        release(self.run_ranks.device)
        self._barrier(name)
        self.heartbeat.end(keys.MEASURING)  # not before: until now another rank may fail
        if self.run_ranks.is_rank_zero and self._is_spoiled():
            text = "nothing is measured: a capture broke, and what came after it was eager"
            self.heartbeat.events.note(text)
        elif self.run_ranks.is_rank_zero and not failed:
            self.run_ranks.run.set(keys.MEASURING, "")
            for trial in trials:
                scheduler.learn(trial, autotuner.measured(trial))

    def _steps(self, name: str, phase: Phase) -> Iterator[Generator[None, None, None]]:
        """Yield the trials that this rank trains: all under `ddp`, else those that it leases, one by one."""
        (execution,) = phase.executions
        trials = [self.trials[key] for key in phase.trials]
        if execution.placement == "ddp":
            for trial in trials:
                if self._is_spoiled():  # with one rank only: several ranks restart at once
                    return
                if lease := self._lease_together(name, trial, phase):
                    yield self.trial_runner.steps(trial, lease, self.run_ranks.together(), execution)
            return
        while (
            not self.heartbeat.is_stopping
            and not self._is_spoiled()
            and (turn := self.run_ranks.add(keys.turn(name))) <= len(trials)
        ):
            trial = trials[turn - 1]
            narrowed = execution.model_copy(update={"trials_per_device": self._width(execution)})
            if lease := self.trial_queue.take(trial, narrowed, phase.dead.get(trial.key, "")):
                yield self.trial_runner.steps(trial, lease, self.run_ranks.alone(), narrowed)

    def _lease_together(self, name: str, trial: Trial, phase: Phase) -> Lease | None:
        """Return the lease that rank 0 takes on the trial for all ranks; None if it cannot have it."""
        key = keys.lease(name, trial.key)
        if self.run_ranks.is_rank_zero:
            (execution,), dead = phase.executions, phase.dead.get(trial.key, "")
            lease = None if self.heartbeat.is_stopping else self.trial_queue.take(trial, execution, dead)
            self.run_ranks.set(key, lease.model_dump_json() if lease else "")
            return lease
        self.heartbeat.wait(lambda: self.run_ranks.get(key) is not None)
        text = self.run_ranks.get(key)
        return Lease.model_validate_json(text) if text else None

    def _stalled(self, key: str, error: str) -> None:
        """Record the failure of a trial that makes no progress, perhaps because of another rank."""
        if key != keys.MEASURING:
            self.trial_runner.recovery.failed(self.trials[key], error)
        elif self.run_ranks.add(keys.failure_reports(key)) == 1:
            self.heartbeat.events.note(f"nothing is measured: {error}")
            self.run_ranks.set(keys.failed(key), error)
