"""A suite inside a torchrun world: which trials next, train them, agree on how they ended."""

from __future__ import annotations

import json
import math
import sys
import threading
import traceback
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field

import torch

from harness import model, provenance
from harness.calibration import Calibration
from harness.console import console_for
from harness.data import cache_folder
from harness.errors import HarnessError
from harness.execution import Execution
from harness.ledger import Ledger
from harness.paces import Circumstances, Paces
from harness.plan import kind_of
from harness.pulse import Pulse
from harness.record import Epoch
from harness.request import Request, load_data
from harness.schedule import Phase, Schedule, candidates
from harness.suite import Trial
from harness.training.batches import EVAL_BATCH_SIZE, ResidentDataset
from harness.training.lanes import take_turns
from harness.training.loop import Watcher, step_by_step
from harness.training.precision import PRECISIONS
from harness.training.world import Fleet, World

_MEASURING = "measuring"


def work(request: Request, fleet: Fleet, env: Mapping[str, str]) -> None:
    """Train all that remains, together with the other ranks."""
    console = console_for(sys.stdout, len(request.remaining())) if fleet.speaks else None
    worker = _Worker(request, fleet, env)
    worker.pulse = Pulse(fleet, console, request.timeout_seconds, worker.stalled)
    try:
        worker.run()
    finally:
        worker.pulse.stop()


@dataclass
class _Worker:
    request: Request
    fleet: Fleet
    env: Mapping[str, str]
    pulse: Pulse = field(init=False)
    residents: dict[str, tuple[ResidentDataset, str]] = field(default_factory=dict)
    running: dict[str, tuple[Execution, str]] = field(default_factory=dict)
    trials: dict[str, Trial] = field(init=False)
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.trials = {trial.key: trial for trial in self.request.trials()}
        names = {str(trial.settings.model["name"]) for trial in self.trials.values()}
        sources = [model.source_file(name) for name in sorted(names) if model.is_callable_path(name)]
        versions = provenance.versions([path for path in sources if path])
        self.ledger = Ledger(self.request.store, self.fleet, versions, self.request.save_model)

    def run(self) -> None:
        generation = self.env.get("HARNESS_GENERATION", "0")
        schedule = self._schedule()
        for number in range(sys.maxsize):
            name = f"phase/{generation}.{number}"
            if self.fleet.speaks:
                self.fleet.put(name, schedule.next_phase().model_dump_json())
            self.pulse.wait(lambda name=name: self.fleet.look(name) is not None)  # type: ignore[misc]
            phase = Phase.model_validate_json(self.fleet.look(name) or "")
            if phase.work == "end":
                return
            if phase.work == "measure":
                self._measure(name, phase, schedule)
                continue
            width = phase.executions[0].trials_per_device
            take_turns(self._courses(name, phase), width, self.fleet.device)
            self._meet(name)

    def _meet(self, name: str) -> None:
        """Wait until all ranks have finished the phase."""
        self.fleet.count(f"{name}/finished")
        self.pulse.wait(lambda: self.fleet.count(f"{name}/finished", 0) == self.fleet.world_size)

    def _schedule(self) -> Schedule:
        device, ranks, versions = self.fleet.device, self.fleet.world_size, self.ledger.versions
        measured = candidates(self.request, ranks, is_gpu=device.type == "cuda")
        return Schedule(
            self.request,
            ranks,
            is_open=lambda trial: (
                not any(self.fleet.look(f"{how}/{trial.key}") is not None for how in ("ended", "failed"))
            ),
            candidates=[] if self.fleet.look(f"failed/{_MEASURING}") is not None else measured,
            circumstances=lambda trial: Circumstances(
                kind=kind_of(trial),
                devices=[provenance.device_name(device)] * ranks,
                threads=torch.get_num_threads(),
                versions=[versions.torch, versions.cuda or "", versions.code],
            ),
            cache=Paces(cache_folder(self.env) / "paces"),
            say=self._note,
        )

    def _measure(self, name: str, phase: Phase, schedule: Schedule) -> None:
        """Measure with all ranks, and let the schedule know; where it fails, nothing is measured any more."""
        trials = [self.trials[key] for key in phase.trials]
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
            for trial in trials:
                schedule.learn(trial, calibration.measured(trial))

    def _courses(self, name: str, phase: Phase) -> Iterator[Generator[None, None, None]]:
        """Yield the trials that this rank takes part in: all under `ddp`, else what it claims, one by one."""
        (execution,) = phase.executions
        trials = [self.trials[key] for key in phase.trials]
        if execution.placement == "ddp":
            yield from (self._course(trial, self.fleet.together(), execution) for trial in trials)
            return
        while (claimed := self.fleet.count(f"{name}/claimed")) <= len(trials):
            yield self._course(trials[claimed - 1], self.fleet.alone(), execution)

    def _course(self, trial: Trial, ranks: World, execution: Execution) -> Generator[None, None, None]:
        """Train the trial, step by step, and record how it ended."""
        started_at = provenance.now()
        self.running[trial.key] = execution, started_at
        try:
            resident, data_digest = self._resident(trial)
            path, watcher = self.request.store.checkpoint_path(trial), self._watcher(trial, resident, ranks)
            outcome = yield from step_by_step(trial, resident, ranks, path, watcher, execution.engine)
        except HarnessError:
            raise  # results that cannot be written end the run: no trial could leave its record
        except Exception:
            self._failed(trial, traceback.format_exc())
            if ranks.world_size > 1:
                threading.Event().wait()  # the pulse starts all ranks again
        else:
            if ranks.owns:
                size = len(resident.train)
                self.ledger.enter(trial, outcome, execution, started_at, size, data_digest)
                accuracy = f"test {100 * outcome.epochs[-1].test_accuracy:.2f} %"
                self._tell_end(trial, f"{outcome.status}, {accuracy}")
                self.fleet.put(f"ended/{trial.key}", outcome.status)
        finally:
            self.pulse.end(trial.key)

    def _resident(self, trial: Trial) -> tuple[ResidentDataset, str]:
        settings = trial.settings
        dtype = PRECISIONS[settings.training.precision].dtype
        key = json.dumps([settings.dataset.model_dump(), str(dtype)])
        if key not in self.residents:
            dataset = load_data(self.request, trial, self.env)
            self.residents[key] = ResidentDataset.of(dataset, self.fleet.device, dtype), dataset.digest
        return self.residents[key]

    def _watcher(self, trial: Trial, resident: ResidentDataset, ranks: World) -> Watcher:
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

        return Watcher(lambda step, loss: position.move(), position.move, on_epoch, on_note)

    def _failed(self, trial: Trial, error: str) -> None:
        """Record a failure, once however many ranks report it, and let all ranks know."""
        key = f"failed/{trial.key}"
        if self.fleet.count(f"{key}/reports") > 1 or self.request.store.find(trial).state == "done":
            return
        self.ledger.enter_failure(trial, error, *self.running[trial.key])
        self._tell_end(trial, f"failed, {error.strip().splitlines()[-1]}")
        self.fleet.put(key, error)

    def stalled(self, key: str, error: str) -> None:
        """Record the failure of a trial that does not move, which may be another rank's."""
        if key == _MEASURING:
            if self.fleet.count(f"failed/{key}/reports") == 1:
                self._note(f"nothing is measured: {error}")
                self.fleet.put(f"failed/{key}", error)
            return
        self.running.setdefault(key, (Execution(placement="spread"), provenance.now()))
        self._failed(self.trials[key], error)

    def _note(self, text: str) -> None:
        self.pulse.tell({"kind": "note", "text": text})

    def _tell_end(self, trial: Trial, text: str) -> None:
        self.pulse.tell({"kind": "end", "trial": trial.key, "text": f"{trial.key}: {text}"})


def _parts(trial: Trial, resident: ResidentDataset) -> int:
    """Count the steps and evaluation batches of a whole trial."""
    training = trial.settings.training
    steps = math.ceil(len(resident.train) / training.batch_size)
    return training.epochs * (steps + math.ceil(len(resident.test) / EVAL_BATCH_SIZE))
