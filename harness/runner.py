"""A suite inside a torchrun world: which trial next, train it, agree on how it ended."""

from __future__ import annotations

import json
import math
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness import model, provenance
from harness.console import console_for
from harness.errors import HarnessError
from harness.ledger import Ledger
from harness.plan import choose_placement, longest_first
from harness.pulse import Pulse
from harness.record import Epoch, Placement
from harness.request import Request, load_data
from harness.suite import Trial
from harness.training.batches import EVAL_BATCH_SIZE, ResidentDataset
from harness.training.loop import Watcher, train
from harness.training.precision import PRECISIONS
from harness.training.world import Fleet, World


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
    started_at: str = field(default_factory=provenance.now)
    trials: dict[str, Trial] = field(init=False)
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.trials = {_key(trial): trial for trial in self.request.trials()}
        names = {str(trial.settings.model["name"]) for trial in self.trials.values()}
        sources = [model.source_file(name) for name in sorted(names) if model.is_callable_path(name)]
        versions = provenance.versions([path for path in sources if path])
        self.ledger = Ledger(self.request.store, self.fleet, versions, self.request.save_model)

    def run(self) -> None:
        generation = self.env.get("HARNESS_GENERATION", "0")
        for number in range(sys.maxsize):
            phase = f"phase/{generation}.{number}"
            if self.fleet.speaks:
                self.fleet.put(phase, json.dumps(self._next_phase()))
            self.pulse.wait(lambda phase=phase: self.fleet.look(phase) is not None)  # type: ignore[misc]
            placement, keys = json.loads(self.fleet.look(phase) or "")
            if not keys:
                return
            self._train_phase(phase, placement, [self.trials[key] for key in keys])
            self.fleet.count(f"{phase}/finished")
            self.pulse.wait(
                lambda phase=phase: self.fleet.count(f"{phase}/finished", 0) == self.fleet.world_size  # type: ignore[misc]
            )

    def _next_phase(self) -> tuple[Placement, list[str]]:
        """Decide how the trials that remain are placed; none is tried twice in a run."""
        left = [
            trial
            for trial in self.request.remaining()
            if all(self.fleet.look(f"{how}/{_key(trial)}") is None for how in ("ended", "failed"))
        ]
        ranks = self.fleet.world_size
        if not left:
            return "ddp", []
        placement, reason = choose_placement(self.request.placement, len(left), ranks)
        self.pulse.tell({"kind": "note", "text": reason})
        ordered = longest_first(self.request.store, left)
        if placement == "spread" and self.request.placement == "auto":
            ordered = ordered[: len(ordered) // ranks * ranks]  # what is left then is too few to spread
        return placement, [_key(trial) for trial in ordered]

    def _train_phase(self, phase: str, placement: Placement, trials: Sequence[Trial]) -> None:
        if placement == "ddp":
            for trial in trials:
                self._train(trial, self.fleet.together(), placement)
            return
        while (claimed := self.fleet.count(f"{phase}/claimed")) <= len(trials):
            self._train(trials[claimed - 1], self.fleet.alone(), placement)

    def _train(self, trial: Trial, ranks: World, placement: Placement) -> None:
        self.started_at = provenance.now()
        try:
            resident, data_digest = self._resident(trial)
            self.pulse.begin(_key(trial), _parts(trial, resident), together=ranks.world_size > 1)
            path = self.request.store.checkpoint_path(trial)
            outcome = train(trial, resident, ranks, path, self._watcher(trial, resident, ranks))
        except HarnessError:
            raise  # results that cannot be written end the run: no trial could leave its record
        except Exception:
            self._failed(trial, traceback.format_exc(), placement)
            if ranks.world_size > 1:
                threading.Event().wait()  # the pulse starts all ranks again
        else:
            if ranks.owns:
                size = len(resident.train)
                self.ledger.enter(trial, outcome, placement, self.started_at, size, data_digest)
                accuracy = f"test {100 * outcome.epochs[-1].test_accuracy:.2f} %"
                self._tell_end(trial, f"{outcome.status}, {accuracy}")
                self.fleet.put(f"ended/{_key(trial)}", outcome.status)
        finally:
            self.pulse.end()

    def _resident(self, trial: Trial) -> tuple[ResidentDataset, str]:
        settings = trial.settings
        key = json.dumps([settings.dataset.model_dump(), settings.training.precision])
        if key not in self.residents:
            dataset = load_data(self.request, trial, self.env)
            dtype = PRECISIONS[settings.training.precision].dtype
            self.residents = {key: (ResidentDataset.of(dataset, self.fleet.device, dtype), dataset.digest)}
        return self.residents[key]

    def _watcher(self, trial: Trial, resident: ResidentDataset, ranks: World) -> Watcher:
        position = self.pulse.position

        def on_epoch(epoch: Epoch) -> None:
            if ranks.owns:
                figures = epoch.model_dump(exclude={"lr", "test_loss", "eval_seconds", "train_seconds"})
                speed = len(resident.train) / epoch.train_seconds
                epochs = trial.settings.training.epochs
                self.pulse.tell(
                    {"kind": "epoch", "trial": _key(trial), "epochs": epochs, "samples_per_second": speed}
                    | {key: math.nan if value is None else value for key, value in figures.items()}
                )

        return Watcher(lambda step, loss: position.move(), position.move, on_epoch)

    def _failed(self, trial: Trial, error: str, placement: Placement) -> None:
        """Record a failure, once however many ranks report it, and let all ranks know."""
        key = f"failed/{_key(trial)}"
        if self.fleet.count(f"{key}/reports") > 1 or self.request.store.find(trial).state == "done":
            return
        self.ledger.enter_failure(trial, error, placement, self.started_at)
        self._tell_end(trial, f"failed, {error.strip().splitlines()[-1]}")
        self.fleet.put(key, error)

    def stalled(self, key: str, error: str) -> None:
        """Record the failure of a trial that does not move, which may be another rank's."""
        together = self.pulse.position.together and self.pulse.position.trial == key
        self._failed(self.trials[key], error, "ddp" if together else "spread")

    def _tell_end(self, trial: Trial, text: str) -> None:
        key = _key(trial)
        self.pulse.tell({"kind": "end", "trial": key, "text": f"{key}: {text}"})


def _key(trial: Trial) -> str:
    return f"{trial.folder}/{trial.experiment}/seed-{trial.seed}"


def _parts(trial: Trial, resident: ResidentDataset) -> int:
    """Count the steps and evaluation batches of a whole trial."""
    training = trial.settings.training
    steps = math.ceil(len(resident.train) / training.batch_size)
    return training.epochs * (steps + math.ceil(len(resident.test) / EVAL_BATCH_SIZE))
