"""A run that is broken off is logged once, by TensorBoard, MLflow and users' own trackers."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config.loader import load_suite
from harness.results.store import Store
from tests.support import forks
from tests.support.runs import HARNESS
from tests.support.tracker_readers import (
    assert_scalars,
    keep_mlflow_here,
    metrics,
    name_of,
    scalars,
)

OURS = "tests.support.own_trackers"

SUITE = """\
suite: small
title: A small suite
dataset: {name: kmnist_sample, resize: 8}
seeds: 1
common: {training: {epochs: 4, batch_size: 2000, optimizer: {name: Adam, lr: 0.01}}}
experiments:
  mlp: {model: {name: mlp, hidden: [8], dropout: 0.1}}
"""


@pytest.fixture
def _mlflow(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_mlflow_here(folder, monkeypatch)


def run(*names: str) -> tuple[int | None, str]:
    """Have two ranks train one trial; return the exit code and what was printed."""
    command = [*HARNESS, "run", "suite.yaml", "--nproc", "2", "--placement", "ddp"]
    return forks.finished([*command, *(f"--log={name}" for name in names)], seconds=300)


@pytest.mark.usefixtures("_mlflow")
@pytest.mark.filterwarnings("ignore")
def test_a_run_that_is_broken_off_is_logged_once() -> None:
    Path("suite.yaml").write_text(SUITE, encoding="utf-8")
    trackers = ["tensorboard", "mlflow_tracker:open_tracker", f"{OURS}:Fails"]
    code, output = run(*trackers, f"{OURS}:Stops")
    assert code == 1
    assert "told to end (SIGTERM): states are saved first" in output
    trial = next(load_suite(Path("suite.yaml")).trials())
    name = f"small/mlp/{name_of(trial)}"
    logs = Path("results/.logs/tensorboard") / name
    assert [step for step, _ in scalars(logs)["test_loss"]] == [1, 2, 3]
    assert metrics(name)[0].info.status == "KILLED"
    code, output = run(*trackers)
    assert code == 0, output
    failed = f"logging to {OURS}:Fails failed: ConnectionError: no answer; the trial goes on without it"
    assert output.count(failed) == output.count("logging to") == 1
    record = Store(Path("results")).find(trial).record
    assert record is not None
    assert [each.epoch for each in record.epochs] == [1, 2, 3, 4]
    assert_scalars(logs, record)
    run_of_it, found = metrics(name)
    assert run_of_it.info.status == "FINISHED"
    assert found["test_loss"] == [(each.epoch, each.test_loss) for each in record.epochs]
