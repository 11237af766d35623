"""A suite inside a torchrun world: which trials next, train them, agree on how they ended."""

from __future__ import annotations

import json
import math
import sys
import threading
import traceback
import uuid
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field

import torch

from harness import provenance
from harness.calibration import Calibration
from harness.claim import Claim, Claims, this_process
from harness.console import console_for
from harness.data import cache_folder
from harness.errors import CrashError, HarnessError, LostClaimError, LostRankError, StoreError
from harness.execution import Execution
from harness.ledger import Ledger
from harness.notice import JobFiles, Notice
from harness.paces import Circumstances, Paces
from harness.plan import kind_of
from harness.pool import Pool, tries_before
from harness.pulse import Leave, Pulse
from harness.record import Epoch
from harness.request import Request, load_data
from harness.schedule import Phase, Schedule, candidates
from harness.suite import Trial
from harness.training.batches import EVAL_BATCH_SIZE, ResidentDataset
from harness.training.keeper import Wish
from harness.training.lanes import take_turns
from harness.training.loop import Places, Watcher, step_by_step
from harness.training.precision import PRECISIONS
from harness.training.world import Fleet, World, still_works

_MEASURING = "measuring"


def work(request: Request, fleet: Fleet, env: Mapping[str, str]) -> bool:
    """Train all that remains, together with the other ranks; tell whether this one came to the end."""
    console = console_for(sys.stdout, len(request.remaining())) if fleet.speaks else None
    notice = Notice(JobFiles(env.get("HARNESS_JOB_FILES")).stop_file if fleet.speaks else None)
    worker = _Worker(request, fleet, env)
    with notice.listening():
        worker.pulse = Pulse(fleet, console, request.timeout_seconds, notice, worker.stalled)
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
    residents: dict[str, tuple[ResidentDataset, str]] = field(default_factory=dict)
    running: dict[str, tuple[Execution, str]] = field(default_factory=dict)
    trials: dict[str, Trial] = field(init=False)
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.trials = {trial.key: trial for trial in self.request.trials()}
        names = {str(trial.settings.model["name"]) for trial in self.trials.values()}
        self.ledger = Ledger(
            self.request.store,
            self.fleet,
            provenance.versions(provenance.user_modules(names)),
            self.request.save_model,
            provenance.device_name(self.fleet.device),
        )

    def run(self) -> None:
        self.pool = self._pool()
        schedule = self._schedule()
        for number in range(sys.maxsize):
            name = f"phase/{self.fleet.start[1]}.{number}"
            if self.fleet.speaks:
                self.fleet.put(name, schedule.next_phase().model_dump_json())
            self.pulse.wait(lambda name=name: self.fleet.look(name) is not None)  # type: ignore[misc]
            phase = Phase.model_validate_json(self.fleet.look(name) or "")
            if phase.work == "end":
                break
            if phase.work == "measure":
                self._measure(name, phase, schedule)
                continue
            width = phase.executions[0].trials_per_device
            take_turns(self._courses(name, phase), width, self.fleet.device)
            self._meet(name)
        self.pool.claims.stop()

    def _meet(self, name: str) -> None:
        """Wait until all ranks have finished the phase."""
        self.fleet.count(f"{name}/finished")
        self.pulse.wait(lambda: self.fleet.count(f"{name}/finished", 0) == self.fleet.world_size)

    def _pool(self) -> Pool:
        """Return the trials that may be had, for this run as all its ranks and starts know it."""
        board = self.fleet.run
        if self.fleet.speaks and board.look("id") is None:
            board.put("tries", tries_before(self.request))
            board.put("id", uuid.uuid4().hex)
        self.pulse.wait(lambda: board.look("id") is not None)
        me = this_process(board.look("id") or "", self.fleet.start, self.env)
        claims = Claims(self.request.store, me, self.request.stale_seconds)
        tries = json.loads(board.look("tries") or "{}")
        return Pool(self.request, self.fleet, claims, self.ledger, self._note, tries)

    def _schedule(self) -> Schedule:
        device, ranks, versions = self.fleet.device, self.fleet.world_size, self.ledger.versions
        measured = candidates(self.request, ranks, is_gpu=device.type == "cuda")
        return Schedule(
            self.request,
            ranks,
            is_open=self.pool.is_open,
            holder=self.pool.holder,
            is_stopping=self._is_stopping,
            candidates=[] if self.fleet.run.look(_MEASURING) else measured,  # it may have killed a worker
            circumstances=lambda trial: Circumstances(
                kind=kind_of(trial),
                devices=[self.ledger.device_name] * ranks,
                threads=torch.get_num_threads(),
                versions=[versions.torch, versions.cuda or "", versions.code],
            ),
            cache=Paces(cache_folder(self.env) / "paces"),
            say=self._note,
        )

    def _is_stopping(self) -> bool:
        return bool(self.pulse.stopping or self.pulse.notice.signal_name)

    def _measure(self, name: str, phase: Phase, schedule: Schedule) -> None:
        """Measure with all ranks, and let the schedule know; where it fails, nothing is measured any more."""
        trials = [self.trials[key] for key in phase.trials]
        self.fleet.run.put(_MEASURING, "under way")
        position = self.pulse.begin(_MEASURING, 0, together=self.fleet.world_size > 1)
        calibration = Calibration(self.fleet, name, phase.executions, self._note, position.move)
        try:
            for trial in trials:
                calibration.measure(trial, self._resident(trial)[0])
        except Exception as error:  # a trial will find it again, and record it
            self.stalled(_MEASURING, f"{type(error).__name__}: {error}")
            if self.fleet.world_size > 1:
                threading.Event().wait()  # the pulse starts all ranks again
            schedule.candidates = []
        self._meet(name)
        self.pulse.end(_MEASURING)  # not before: until now another rank may fail
        if self.fleet.speaks and schedule.candidates:
            self.fleet.run.put(_MEASURING, "")
            for trial in trials:
                schedule.learn(trial, calibration.measured(trial))

    def _courses(self, name: str, phase: Phase) -> Iterator[Generator[None, None, None]]:
        """Yield the trials that this rank takes part in: all under `ddp`, else what it claims, one by one."""
        (execution,) = phase.executions
        trials = [self.trials[key] for key in phase.trials]
        if execution.placement == "ddp":
            for trial in trials:
                if claim := self._claim_together(name, trial, execution):
                    yield self._course(trial, claim, self.fleet.together(), execution)
            return
        while not self._is_stopping() and (turn := self.fleet.count(f"{name}/turn")) <= len(trials):
            trial = trials[turn - 1]
            if claim := self.pool.take(trial, execution):
                yield self._course(trial, claim, self.fleet.alone(), execution)

    def _claim_together(self, name: str, trial: Trial, execution: Execution) -> Claim | None:
        """Return the claim that the speaker takes on the trial for all ranks, if it can have it."""
        key = f"{name}/{trial.key}/claim"
        if self.fleet.speaks:
            claim = None if self._is_stopping() else self.pool.take(trial, execution)
            self.fleet.put(key, claim.model_dump_json() if claim else "")
        self.pulse.wait(lambda: self.fleet.look(key) is not None)
        text = self.fleet.look(key)
        return Claim.model_validate_json(text) if text else None

    def _course(
        self, trial: Trial, claim: Claim, ranks: World, execution: Execution
    ) -> Generator[None, None, None]:
        """Train the trial, step by step, and record how it ended."""
        started_at = provenance.now()
        self.running[trial.key] = execution, started_at
        try:
            resident, data_digest = self._resident(trial)
            places = Places(self.request.store.checkpoint_paths(trial), self.request.checkpoint_seconds)
            watcher = self._watcher(trial, claim, resident, ranks)
            outcome = yield from step_by_step(trial, resident, ranks, places, watcher, execution.engine)
            if outcome and ranks.owns:
                self.pool.claims.check(trial, claim)
                size = len(resident.train)
                self.ledger.enter(trial, outcome, execution, started_at, size, data_digest)
                accuracy = f"test {100 * outcome.epochs[-1].test_accuracy:.2f} %"
                self._tell_end(trial, f"{outcome.status}, {accuracy}")
                self.fleet.put(f"ended/{trial.key}", outcome.status)
        except LostClaimError as error:
            self._note(str(error))
        except StoreError as error:
            self._after_store_error(trial, claim, ranks, error)
        except HarnessError:
            raise
        except Exception:
            self._after_error(trial, ranks, traceback.format_exc())
        if ranks.owns:
            self.pool.claims.release(trial, claim)
        self.pulse.end(trial.key)

    def _after_store_error(self, trial: Trial, claim: Claim, ranks: World, error: StoreError) -> None:
        """End the run, as no trial can leave its record, unless another run has swept up after this one."""
        try:
            self.pool.claims.check(trial, claim)
        except LostClaimError as lost:
            if ranks.world_size > 1:
                raise CrashError(str(lost)) from None  # the other ranks wait for this one
            self._note(str(lost))
        else:
            raise error

    def _after_error(self, trial: Trial, ranks: World, error: str) -> None:
        """Record the failure, unless another rank's end caused it; leave where this process is of no use."""
        if ranks.world_size > 1 and (silent := self.pulse.silent()):
            raise LostRankError(f"rank {', '.join(map(str, silent))} ended while {trial.key} was trained")
        self._failed(trial, error)
        if ranks.world_size > 1:
            threading.Event().wait()  # the pulse starts all ranks again
        if not still_works(self.fleet.device):
            raise CrashError(f"{trial.key}: its error left the GPU of rank {self.fleet.rank} unusable")

    def _resident(self, trial: Trial) -> tuple[ResidentDataset, str]:
        settings = trial.settings
        dtype = PRECISIONS[settings.training.precision].dtype
        key = json.dumps([settings.dataset.model_dump(), str(dtype)])
        if key not in self.residents:
            dataset = load_data(self.request, trial, self.env)
            self.residents[key] = ResidentDataset.of(dataset, self.fleet.device, dtype), dataset.digest
        return self.residents[key]

    def _watcher(self, trial: Trial, claim: Claim, resident: ResidentDataset, ranks: World) -> Watcher:
        position = self.pulse.begin(trial.key, _parts(trial, resident), together=ranks.world_size > 1)

        def on_epoch(epoch: Epoch) -> None:
            if ranks.owns:
                figures = epoch.model_dump(exclude={"lr", "test_loss", "eval_seconds", "train_seconds"})
                speed = len(resident.train) / epoch.train_seconds
                epochs = trial.settings.training.epochs
                self.pulse.tell(
                    {"kind": "epoch", "trial": trial.key, "epochs": epochs, "samples_per_second": speed}
                    | {key: math.nan if value is None else value for key, value in figures.items()}
                )

        def on_note(text: str) -> None:
            if ranks.owns:
                self._note(f"{trial.key}: {text}")

        def wish(saving: bool) -> Wish:
            is_stopping = self._is_stopping()
            if ranks.owns and (saving or is_stopping):
                try:
                    self.pool.claims.check(trial, claim)
                except LostClaimError as error:
                    self._note(str(error))
                    return Wish.DROP
            return Wish.STOP if is_stopping else Wish.GO_ON

        return Watcher(lambda step, loss: position.move(), position.move, on_epoch, on_note, wish)

    def _failed(self, trial: Trial, error: str) -> None:
        """Record a failure, once however many ranks report it, and let all ranks know."""
        if self.fleet.count(f"failed/{trial.key}/reports") > 1:
            return
        if claim := self.pool.claims.ours(trial):
            unknown = Execution(placement="spread"), provenance.now()
            self.ledger.enter_failure(trial, error, *self.running.get(trial.key, unknown))
            self.pool.claims.release(trial, claim)
        self._tell_end(trial, f"failed, {error.strip().splitlines()[-1]}")
        self.fleet.put(f"failed/{trial.key}", error)

    def stalled(self, key: str, error: str) -> None:
        """Record the failure of a trial that does not move, which may be another rank's."""
        if key != _MEASURING:
            self._failed(self.trials[key], error)
        elif self.fleet.count(f"failed/{key}/reports") == 1:
            self._note(f"nothing is measured: {error}")
            self.fleet.put(f"failed/{key}", error)

    def _note(self, text: str) -> None:
        self.pulse.tell({"kind": "note", "text": text})

    def _tell_end(self, trial: Trial, text: str) -> None:
        self.pulse.tell({"kind": "end", "trial": trial.key, "text": f"{trial.key}: {text}"})


def _parts(trial: Trial, resident: ResidentDataset) -> int:
    """Count the steps and evaluation batches of a whole trial."""
    training = trial.settings.training
    steps = math.ceil(len(resident.train) / training.batch_size)
    return training.epochs * (steps + math.ceil(len(resident.test) / EVAL_BATCH_SIZE))
