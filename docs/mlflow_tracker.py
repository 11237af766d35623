"""Log the harness's trials to MLflow, one run a trial.

Copy this file beside your suites, and say where MLflow is:

    export MLFLOW_TRACKING_URI=http://localhost:5000
    harness run suites/final.yaml --log mlflow_tracker:open_tracker
    harness export mlflow_tracker:open_tracker          # what was trained before
"""

from __future__ import annotations

import mlflow
from mlflow.entities import Metric, Param

from harness.tracking import End, TrackedEpoch, TrackedTrial

ENDS = {"done": "FINISHED", "diverged": "FAILED", "failed": "FAILED", "left": "KILLED"}


class Run:
    """One trial's run. Uses no active run: several trials may train in one process."""

    def __init__(self, trial: TrackedTrial) -> None:
        self.trial = trial
        self.client = mlflow.MlflowClient()
        experiment = mlflow.set_experiment(trial.suite).experiment_id
        for earlier in self.client.search_runs([experiment], f"tags.trial = '{trial.name}'"):
            self.client.delete_run(earlier.info.run_id)  # all epochs are told again
        tags = {"trial": trial.name, "experiment": trial.experiment, "digest": trial.digest}
        self.run = self.client.create_run(experiment, tags=tags, run_name=trial.name).info.run_id
        settings = [Param(key, str(value)) for key, value in trial.flat_settings().items()]
        self.client.log_batch(self.run, params=settings)

    def epoch(self, epoch: TrackedEpoch) -> None:
        """Log the figures of one epoch."""
        at = int(1000 * epoch.ended_at)
        metrics = [Metric(key, value, at, epoch.number) for key, value in epoch.figures.items()]
        self.client.log_batch(self.run, metrics=metrics)

    def end(self, status: End) -> None:
        """End the run, with the trial's record beside it once it is done."""
        if status == "done":
            self.client.log_artifact(self.run, str(self.trial.record))
        self.client.set_terminated(self.run, ENDS[status])


open_tracker = Run
