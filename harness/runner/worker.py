"""A suite inside a torchrun world: which trials next, train them, agree on how they ended."""

from __future__ import annotations

import json
import sys
import threading
import uuid
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch

from harness.config.suite import Trial
from harness.data import cache_folder
from harness.results import provenance
from harness.results.estimates import kind_of
from harness.results.lease import Claim, Claims
from harness.results.lease_owner import this_process
from harness.runner.autotune import Calibration
from harness.runner.event_channel import Events
from harness.runner.heartbeat import Leave, Pulse
from harness.runner.placement import Execution
from harness.runner.recorder import Ledger
from harness.runner.request import Request
from harness.runner.scheduler import Phase, Schedule, candidates
from harness.runner.shutdown import JobFiles, Notice
from harness.runner.timing_cache import Circumstances, Paces
from harness.runner.trial_queue import Pool, tries_before
from harness.runner.trial_runner import Courses
from harness.tracking.console import console_for
from harness.training.cost import speedup
from harness.training.device import is_spoiled
from harness.training.distributed import Fleet
from harness.training.streams import take_turns
from harness.training.throughput import release

_MEASURING = "measuring"


def work(request: Request, fleet: Fleet, env: Mapping[str, str]) -> bool:
    """Train all that remains, together with the other ranks; tell whether this one came to the end."""
    console = console_for(sys.stdout, len(request.remaining())) if fleet.speaks else None
    # The script is on one of the nodes; on another its file may not be seen for a while.
    looks = fleet.local_rank == 0
    notice = Notice(JobFiles(env.get("HARNESS_JOB_FILES")).stop_file if looks else None)
    worker = _Worker(request, fleet, env)
    with notice.listening():
        worker.pulse = Pulse(fleet, Events(fleet, console), request.timeout_seconds, notice, worker.stalled)
        try:
            worker.run()
        except Leave:
            return False
        finally:
            worker.pulse.stop()
    return notice.signal_name is None


@dataclass
class _Worker:
    request: Request
    fleet: Fleet
    env: Mapping[str, str]
    pulse: Pulse = field(init=False)
    pool: Pool = field(init=False)
    courses: Courses = field(init=False)
    trials: dict[str, Trial] = field(init=False)
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.trials = {trial.key: trial for trial in self.request.trials}
        self.ledger = Ledger(
            self.request.store,
            self.fleet,
            provenance.versions(provenance.user_modules(self.trials.values())),
            self.request.save_model,
            provenance.device_name(self.fleet.device),
        )

    def run(self) -> None:
        self.pool = self._pool()
        self.courses = Courses(self.request, self.fleet, self.env, self.pulse, self.pool)
        schedule = self._schedule()
        for number in range(sys.maxsize):
            name = f"phase/{self.fleet.start[1]}.{number}"
            if self.fleet.speaks:
                self.fleet.put(name, schedule.next_phase().model_dump_json())
            self.pulse.wait(lambda name=name: self.fleet.look(name) is not None)  # type: ignore[misc]
            phase = Phase.model_validate_json(self.fleet.look(name) or "")
            if phase.work == "end":
                break
            if self._is_spoiled():
                self.pulse.restart_together()
            if phase.work == "measure":
                self._measure(name, phase, schedule)
                continue
            (execution,) = phase.executions
            width = partial(self._width, execution)
            take_turns(self._courses(name, phase), width, self.fleet.device)
            self._meet(name)
        self.pool.claims.stop()

    def _width(self, execution: Execution) -> int:
        return min(execution.trials_per_device, self.courses.recovery.at_most)

    def _meet(self, name: str) -> None:
        """Wait for the other ranks at the end of a phase."""
        self._is_spoiled()
        self.pulse.meet(name)

    def _is_spoiled(self) -> bool:
        """Tell whether a rank's process is known to be spoiled, as the others are told of this one's."""
        key = f"spoiled/{self.fleet.start[1]}"
        if is_spoiled():
            self.fleet.put(key, "yes")
        return self.fleet.look(key) is not None

    def _pool(self) -> Pool:
        """Return the trials that may be had, for this run as all its ranks and starts know it."""
        board = self.fleet.run
        if self.fleet.speaks and board.look("id") is None:
            board.put("tries", tries_before(self.request))
            board.put("id", uuid.uuid4().hex)
        self.pulse.wait(lambda: board.look("id") is not None)
        me = this_process(board.look("id") or "", self.fleet.start, self.env, self.request.stale_seconds)
        claims = Claims(self.request.store, me)
        tries = json.loads(board.look("tries") or "{}")
        return Pool(self.request, self.fleet, claims, self.ledger, self.pulse.events.note, tries)

    def _schedule(self) -> Schedule:
        request, ranks, versions = self.request, self.fleet.world_size, self.ledger.versions
        is_fatal = bool(self.fleet.run.look(_MEASURING))  # measuring may have killed a worker
        return Schedule(
            request,
            ranks,
            is_open=self.pool.is_open,
            claims=self.pool.claims,
            is_stopping=lambda: self.pulse.is_stopping,
            candidates=lambda left: [] if is_fatal else self._candidates(left),
            speedup=self._speedup,
            circumstances=lambda trial: Circumstances(
                kind=kind_of(trial),
                devices=[self.ledger.device_name] * ranks,
                threads=torch.get_num_threads(),
                versions=[versions.torch, versions.cuda or "", versions.code],
            ),
            cache=Paces(cache_folder(self.env) / "paces"),
            say=self.pulse.events.note,
        )

    def _candidates(self, left: int) -> list[Execution]:
        """List the executions that are worth measuring for so many trials that are left."""
        is_gpu = self.fleet.device.type == "cuda"
        found = candidates(self.request, self.fleet.world_size, left, is_gpu=is_gpu)
        return [each for each in found if self._width(each) == each.trials_per_device]

    def _speedup(self, trial: Trial) -> float | None:
        """Estimate how many times as fast as one rank all ranks train the trial."""
        try:
            return speedup(trial, self.courses.resident(trial)[0], self.fleet.world_size, self.fleet.device)
        except Exception:  # the trial will find it again, and record it
            return None

    def _measure(self, name: str, phase: Phase, schedule: Schedule) -> None:
        """Measure with all ranks, and let the schedule know; where it fails, nothing is measured any more."""
        trials = [self.trials[key] for key in phase.trials]
        self.fleet.run.put(_MEASURING, "under way")
        position = self.pulse.begin(_MEASURING, 0, together=self.fleet.world_size > 1)
        calibration = Calibration(self.fleet, name, phase.executions, self.pulse.events.note, position.move)
        failed = False
        try:
            for trial in trials:
                calibration.measure(trial, self.courses.resident(trial)[0])
        except Exception as error:  # a trial will find it again, and record it
            failed = True
            self.stalled(_MEASURING, f"{type(error).__name__}: {error}")
            if self.fleet.world_size > 1:
                threading.Event().wait()  # the pulse starts all ranks again
            schedule.candidates = lambda left: []
        release(self.fleet.device)
        self._meet(name)
        self.pulse.end(_MEASURING)  # not before: until now another rank may fail
        if self.fleet.speaks and self._is_spoiled():
            self.pulse.events.note("nothing is measured: a capture broke, and what came after it was eager")
        elif self.fleet.speaks and not failed:
            self.fleet.run.put(_MEASURING, "")
            for trial in trials:
                schedule.learn(trial, calibration.measured(trial))

    def _courses(self, name: str, phase: Phase) -> Iterator[Generator[None, None, None]]:
        """Yield the trials that this rank takes part in: all under `ddp`, else what it claims, one by one."""
        (execution,) = phase.executions
        trials = [self.trials[key] for key in phase.trials]
        if execution.placement == "ddp":
            for trial in trials:
                if self._is_spoiled():  # of one rank only: where there are several they start again at once
                    return
                if claim := self._claim_together(name, trial, phase):
                    yield self.courses.course(trial, claim, self.fleet.together(), execution)
            return
        while (
            not self.pulse.is_stopping
            and not self._is_spoiled()
            and (turn := self.fleet.count(f"{name}/turn")) <= len(trials)
        ):
            trial = trials[turn - 1]
            narrowed = execution.model_copy(update={"trials_per_device": self._width(execution)})
            if claim := self.pool.take(trial, narrowed, phase.dead.get(trial.key, "")):
                yield self.courses.course(trial, claim, self.fleet.alone(), narrowed)

    def _claim_together(self, name: str, trial: Trial, phase: Phase) -> Claim | None:
        """Return the claim that the speaker takes on the trial for all ranks, if it can have it."""
        key = f"{name}/{trial.key}/claim"
        if self.fleet.speaks:
            (execution,), dead = phase.executions, phase.dead.get(trial.key, "")
            claim = None if self.pulse.is_stopping else self.pool.take(trial, execution, dead)
            self.fleet.put(key, claim.model_dump_json() if claim else "")
        self.pulse.wait(lambda: self.fleet.look(key) is not None)
        text = self.fleet.look(key)
        return Claim.model_validate_json(text) if text else None

    def stalled(self, key: str, error: str) -> None:
        """Record the failure of a trial that does not move, which may be another rank's."""
        if key != _MEASURING:
            self.courses.recovery.failed(self.trials[key], error)
        elif self.fleet.count(f"failed/{key}/reports") == 1:
            self.pulse.events.note(f"nothing is measured: {error}")
            self.fleet.put(f"failed/{key}", error)
