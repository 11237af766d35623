"""Writer of this rank's records: a trial's results or its error, and the hardware it ran on."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass

import torch

from harness.config.suite import Trial
from harness.results import provenance
from harness.results.estimates import kind_of
from harness.results.record import Attempt, Hardware, Record, Versions
from harness.results.store import Store
from harness.runner.placement import Execution
from harness.runner.run_code import CodeGuard, code_of
from harness.runner.timing_cache import Circumstances
from harness.training import checkpoint
from harness.training.distributed import RunRanks
from harness.training.engine_choice import default_engine
from harness.training.trainer import Outcome


@dataclass(frozen=True)
class RecordWriter:
    """Writer of records into a store; with `save_model` it saves the final weights beside each."""

    store: Store
    run_ranks: RunRanks
    versions: Versions
    guard: CodeGuard
    save_model: bool
    device_name: str

    def record_of(
        self,
        trial: Trial,
        outcome: Outcome,
        execution: Execution,
        started_at: str,
        samples: dict[str, int],
        data_digest: str,
    ) -> Record:
        """Return the record of a trial that is done or diverged."""
        speeds = [samples["train"] / epoch.train_seconds for epoch in outcome.epochs]
        attempts = self._attempts(trial)
        if outcome.status == "diverged":
            error = f"NaN or infinity in epoch {len(outcome.epochs)}"
            attempts.append(_attempt(started_at, "diverged", error))
        empty = self._empty(trial, execution, started_at, attempts)
        return empty.model_copy(
            update={
                "hardware": empty.hardware.model_copy(update={"engine": outcome.engine}),
                "status": outcome.status,
                "epochs": outcome.epochs,
                "parameters": outcome.parameters,
                "replaced_layers": outcome.replaced_layers,
                "has_fixed_weights": outcome.has_fixed_weights,
                "samples_per_second": statistics.median(speeds[1:]) if speeds[1:] else None,
                "first_epoch_samples_per_second": speeds[0],
                "peak_memory_gib": outcome.peak_memory_gib,
                "samples": samples,
                "data_digest": data_digest,
            }
        )

    def save_weights(self, trial: Trial, outcome: Outcome) -> None:
        """Save the final weights, before the record; raise StoreError if that fails."""
        checkpoint.save_weights(self.store.weights_path(trial), outcome.model)

    def enter_failure(
        self, trial: Trial, error: str, execution: Execution, started_at: str | None = None
    ) -> None:
        """Save the record of a failed trial, with its error."""
        self._add(trial, "failed", error, execution, started_at or provenance.now())

    def enter_death(self, trial: Trial, error: str, execution: Execution) -> int:
        """Record that a process training the trial was killed; return the number of deaths in a row."""
        attempts = self._add(trial, "killed", error, execution, provenance.now())
        return len(list(itertools.takewhile(lambda each: each.status == "killed", reversed(attempts))))

    def versions_of(self, trial: Trial) -> Versions:
        """Return the versions for the trial's record, with the user's code as the run started with it."""
        return self.guard.started.versions(trial, self.versions)

    def circumstances(self, trial: Trial) -> Circumstances:
        """Return the circumstances on which the trial's timing depends here."""
        versions = self.versions_of(trial)
        return Circumstances(
            kind=kind_of(trial),
            devices=[self.device_name] * self.run_ranks.world_size,
            threads=torch.get_num_threads(),
            versions=[versions.torch, versions.cuda or "", code_of(versions)],
        )

    def _add(
        self, trial: Trial, status: str, error: str, execution: Execution, started_at: str
    ) -> list[Attempt]:
        attempts = [*self._attempts(trial), _attempt(started_at, status, error)]
        self.store.save(trial, self._empty(trial, execution, started_at, attempts))
        return attempts

    def _attempts(self, trial: Trial) -> list[Attempt]:
        earlier = self.store.find(trial).record
        return list(earlier.attempts) if earlier else []

    def _empty(self, trial: Trial, execution: Execution, started_at: str, attempts: list[Attempt]) -> Record:
        """Return the record of a trial without results yet."""
        ranks = self.run_ranks.world_size if execution.placement == "ddp" else 1
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
                placement=execution.placement,
                engine=execution.engine or default_engine(self.run_ranks.device),
                world_size=ranks,
                threads=torch.get_num_threads(),
                devices=[self.device_name] * ranks,
                host=provenance.host(),
                trials_per_device=execution.trials_per_device,
            ),
            versions=self.versions_of(trial),
            started_at=started_at,
            ended_at=provenance.now(),
            attempts=attempts,
        )


def _attempt(started_at: str, status: str, error: str) -> Attempt:
    return Attempt.model_validate(
        {"started_at": started_at, "ended_at": provenance.now(), "status": status, "error": error}
    )
