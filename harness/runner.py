"""A suite inside a torchrun world: which trial next, train it, agree on how it ended, save its record."""

from __future__ import annotations

import json
import math
import statistics
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from harness import data, model, provenance
from harness.console import console_for
from harness.data import Dataset
from harness.errors import HarnessError
from harness.plan import choose_placement, longest_first
from harness.pulse import Pulse
from harness.record import Attempt, Epoch, Hardware, Record, Versions
from harness.store import Store
from harness.suite import Suite, Trial
from harness.training import checkpoint
from harness.training.batches import EVAL_BATCH_SIZE, ResidentDataset
from harness.training.loop import DTYPES, Outcome, Watcher, initialised, train
from harness.training.probe import unused_parameters
from harness.training.world import Fleet, World

Placement = Literal["ddp", "spread"]


@dataclass(frozen=True)
class Request:
    """What `harness run` was asked for."""

    suites: Sequence[Suite]
    only: Sequence[str] = ()
    seeds: Sequence[int] = ()
    results: Path = Path("results")
    data_dir: Path | None = None
    device: str | None = None
    placement: Literal["auto", "ddp", "spread"] = "auto"
    timeout_seconds: float = 600.0
    retry_diverged: bool = False
    save_model: bool = False

    @property
    def store(self) -> Store:
        """Return where the records are."""
        return Store(self.results)

    def trials(self) -> list[Trial]:
        """List the trials that were asked for, done or not."""
        return [
            trial
            for suite in self.suites
            for trial in suite.trials()
            if (not self.only or trial.experiment in self.only)
            and (not self.seeds or trial.seed in self.seeds)
        ]

    def remaining(self) -> list[Trial]:
        """List those of them that are to be trained."""
        skipped = {"done"} if self.retry_diverged else {"done", "diverged"}
        return [trial for trial in self.trials() if self.store.find(trial).state not in skipped]


def check(request: Request, env: Mapping[str, str]) -> None:
    """Fetch the data and build and probe every model; raise HarnessError where a trial could not start."""
    probed: set[str] = set()
    for trial in request.remaining():
        settings = trial.settings
        dataset = load_data(request, trial, env)
        key = json.dumps([settings.model, settings.dataset.model_dump()], sort_keys=True)
        if key not in probed:
            probed.add(key)
            built = initialised(settings, trial.seed, dataset.image_shape, dataset.num_classes)
            allow = settings.training.allow_rank_dependent
            unused_parameters(built, dataset.image_shape, str(settings.model["name"]), allow=allow)


def load_data(request: Request, trial: Trial, env: Mapping[str, str]) -> Dataset:
    """Load the trial's dataset, fetched and resized where that was not done before."""
    name, resize = trial.settings.dataset.name, trial.settings.dataset.resize
    return data.load(name, resize, request.data_dir, env, say=lambda text: print(text, file=sys.stderr))  # noqa: T201


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
    started_at: str = ""
    trials: dict[str, Trial] = field(init=False)
    versions: Versions = field(init=False)

    def __post_init__(self) -> None:
        self.trials = {_key(trial): trial for trial in self.request.trials()}
        names = {str(trial.settings.model["name"]) for trial in self.trials.values()}
        sources = [model.source_file(name) for name in sorted(names) if model.is_callable_path(name)]
        self.versions = provenance.versions([path for path in sources if path])

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
        """Decide how the trials that remain are placed; failed ones are not tried twice in a run."""
        left = [t for t in self.request.remaining() if self.fleet.look(f"failed/{_key(t)}") is None]
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
                self._save(trial, outcome, ranks, placement, data_digest)
        finally:
            self.pulse.end()

    def _resident(self, trial: Trial) -> tuple[ResidentDataset, str]:
        settings = trial.settings
        key = json.dumps([settings.dataset.model_dump(), settings.training.precision])
        if key not in self.residents:
            dataset = load_data(self.request, trial, self.env)
            dtype = DTYPES[settings.training.precision]
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

    def _save(
        self, trial: Trial, outcome: Outcome, ranks: World, placement: Placement, data_digest: str
    ) -> None:
        store = self.request.store
        speeds = [len(self._resident(trial)[0].train) / epoch.train_seconds for epoch in outcome.epochs]
        ended_at = provenance.now()
        attempts = self._attempts(trial)
        if outcome.status == "diverged":
            text = f"NaN or infinity in epoch {len(outcome.epochs)}"
            attempts.append(
                Attempt(started_at=self.started_at, ended_at=ended_at, status="diverged", error=text)
            )
        record = self._record(trial, placement, ended_at, attempts).model_copy(
            update={
                "status": outcome.status,
                "epochs": outcome.epochs,
                "parameters": outcome.parameters,
                "replaced_layers": outcome.replaced_layers,
                "samples_per_second": statistics.median(speeds[1:]) if speeds[1:] else None,
                "first_epoch_samples_per_second": speeds[0],
                "peak_memory_gib": outcome.peak_memory_gib,
                "data_digest": data_digest,
            }
        )
        if self.request.save_model:
            checkpoint.save_weights(store.weights_path(trial), outcome.model)
        store.save(trial, record)
        store.checkpoint_path(trial).unlink(missing_ok=True)
        self._tell_end(trial, outcome.status, f"test {100 * outcome.epochs[-1].test_accuracy:.2f} %")

    def _failed(self, trial: Trial, error: str, placement: Placement) -> None:
        """Record a failure, once however many ranks report it, and let all ranks know."""
        key = f"failed/{_key(trial)}"
        if self.fleet.count(f"{key}/reports") > 1 or self.request.store.find(trial).state == "done":
            return
        ended_at = provenance.now()
        attempt = Attempt(
            started_at=self.started_at or ended_at, ended_at=ended_at, status="failed", error=error
        )
        record = self._record(trial, placement, ended_at, [*self._attempts(trial), attempt])
        self.request.store.save(trial, record)
        self._tell_end(trial, "failed", error.strip().splitlines()[-1])
        self.fleet.put(key, error)

    def stalled(self, key: str, error: str) -> None:
        """Record the failure of a trial that does not move, which may be another rank's."""
        together = self.pulse.position.together and self.pulse.position.trial == key
        self._failed(self.trials[key], error, "ddp" if together else "spread")

    def _attempts(self, trial: Trial) -> list[Attempt]:
        earlier = self.request.store.find(trial).record
        return list(earlier.attempts) if earlier else []

    def _record(self, trial: Trial, placement: Placement, ended_at: str, attempts: list[Attempt]) -> Record:
        """Return the record of a trial that found nothing yet."""
        ranks = self.fleet.world_size if placement == "ddp" else 1
        return Record(
            suite=trial.folder,
            experiment=trial.experiment,
            seed=trial.seed,
            digest=trial.digest,
            status="failed",
            settings=trial.settings.model_dump(),
            epochs=[],
            parameters=None,
            replaced_layers={},
            samples_per_second=None,
            first_epoch_samples_per_second=None,
            peak_memory_gib=None,
            data_digest="",
            hardware=Hardware(
                placement=placement,
                engine="eager",
                world_size=ranks,
                threads=torch.get_num_threads(),
                devices=[provenance.device_name(self.fleet.device)] * ranks,
                host=provenance.host(),
            ),
            versions=self.versions,
            started_at=self.started_at or ended_at,
            ended_at=ended_at,
            attempts=attempts,
        )

    def _tell_end(self, trial: Trial, status: str, text: str) -> None:
        key = _key(trial)
        self.pulse.tell({"kind": "end", "trial": key, "text": f"{key}: {status}, {text}"})


def _key(trial: Trial) -> str:
    return f"{trial.folder}/{trial.experiment}/seed-{trial.seed}"


def _parts(trial: Trial, resident: ResidentDataset) -> int:
    """Count the steps and evaluation batches of a whole trial."""
    training = trial.settings.training
    steps = math.ceil(len(resident.train) / training.batch_size)
    return training.epochs * (steps + math.ceil(len(resident.test) / EVAL_BATCH_SIZE))
