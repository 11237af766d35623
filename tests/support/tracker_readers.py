"""What was logged, as TensorBoard's own reader and MLflow's find it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from harness.config.suite import Trial
from harness.results.record import Record
from harness.results.store import Store
from tests.support import ROOT

FIGURES = (
    "lr",
    "train_loss",
    "train_accuracy",
    "test_loss",
    "test_accuracy",
    "train_seconds",
    "eval_seconds",
)


def run_in(folder: Path) -> Any:
    """Return a run as TensorBoard reads it."""
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return a run's figures, as epoch and value."""
    found = run_in(folder)
    return {tag: [(each.step, each.value) for each in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def assert_scalars(folder: Path, record: Record) -> None:
    """Assert that TensorBoard shows each epoch of the record, once; it keeps single precision."""
    found = scalars(folder)
    assert found.keys() == {*FIGURES, "samples_per_second"}
    for name in FIGURES:
        assert [step for step, _ in found[name]] == [each.epoch for each in record.epochs], name
        values = [getattr(each, name) for each in record.epochs]
        assert [value for _, value in found[name]] == pytest.approx(values, rel=1e-6), name
    speed = record.first_epoch_samples_per_second
    assert found["samples_per_second"][0][1] == pytest.approx(speed, rel=1e-6)


def metrics(trial_name: str) -> tuple[Any, dict[str, list[tuple[int, float]]]]:
    """Read the one run of a trial as MLflow does."""
    from mlflow import MlflowClient  # which may warn, of its store of files too

    client = MlflowClient()
    experiment = client.get_experiment_by_name(trial_name.partition("/")[0])
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], f"tags.trial = '{trial_name}'")
    histories = {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
    return run, {
        name: sorted((each.step, each.value) for each in history) for name, history in histories.items()
    }


def keep_mlflow_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have MLflow keep all in files and tell nobody; let the example be found."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "")  # set_experiment leaves it behind
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'docs'}")


def name_of(trial: Trial) -> str:
    """Name the folder of a trial within its experiment's."""
    return Store(Path()).record_path(trial).stem
