"""Records as trials would leave them, with figures of our choice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.config.loader import load_suite
from harness.config.suite import Suite, Trial
from harness.results import record_hash
from harness.results.record import Attempt, Epoch, Hardware, Record, Versions

WHEN = "2026-01-02T03:04:05+00:00"

SUITE = """\
suite: small
title: A small suite
dataset: {name: kmnist, resize: 32}
seeds: 3
common:
  model: {name: mlp, hidden: [8], dropout: 0.1}
  training:
    epochs: 2
    batch_size: 10
    optimizer: {name: Adam, lr: 0.01}
experiments:
  one:
  two: {model: {hidden: [16]}, training: {optimizer: {lr: 0.02}}}
"""
BEST_ON_VALIDATION = SUITE.replace("resize: 32", "resize: 32, validation: {fraction: 0.1}").replace(
    "epochs: 2", "epochs: 2\n    epoch: best_on_validation"
)
PUBLISHED = """\
published:
  dataset: kmnist
  source: "A. Nother, a report"
  experiments:
    one: {train_loss: 0.5, train_accuracy: 0.9, test_accuracy: 0.8125}
"""
RUNS = """\
published:
  dataset: kmnist
  source: "A. Nother, a report"
  runs: 3
  experiments:
    one: {train_loss: [0.5, 0.6, 0.7], train_accuracy: [0.9, 0.8, 0.7], test_accuracy: [0.8, 0.81, 0.82]}
table: {style: runs}
"""


def suite_of(folder: Path, text: str = SUITE) -> Suite:
    """Load a suite from its text."""
    path = folder / "suite.yaml"
    path.write_text(text, encoding="utf-8")
    return load_suite(path)


def epochs_of(trial: Trial, test_accuracy: float) -> list[Epoch]:
    """Return the trial's epochs; each is better on the test set than the next."""
    epochs = trial.settings.training.epochs
    return [
        Epoch(
            epoch=number,
            lr=0.01,
            train_loss=1.0 / (number + trial.seed),
            train_accuracy=min(1.0, 0.5 + 0.1 * number),
            test_loss=1.5,
            test_accuracy=min(1.0, test_accuracy + 0.05 * (epochs - number)),
            train_seconds=2.0,
            eval_seconds=0.5,
        )
        for number in range(1, epochs + 1)
    ]


def record_of(trial: Trial, test_accuracy: float = 0.8, **changes: Any) -> Record:
    """Return a done record of the trial, with some of its fields changed."""
    record = Record(
        suite=trial.folder,
        experiment=trial.experiment,
        seed=trial.seed,
        digest=trial.digest,
        status="done",
        settings=trial.settings.model_dump(),
        epochs=epochs_of(trial, test_accuracy),
        parameters=123,
        replaced_layers={"BatchNorm1d": 1},
        samples_per_second=1000.0,
        first_epoch_samples_per_second=900.0,
        peak_memory_gib=0.5,
        data_digest="d" * 64,
        hardware=Hardware(
            placement="ddp", engine="eager", world_size=1, threads=2, devices=["A CPU"], host="a"
        ),
        versions=Versions(
            harness="0.1.0", python="3.12.0", torch="2.11.0", cuda=None, commit="c" * 40, code="e" * 64
        ),
        started_at=WHEN,
        ended_at=WHEN,
        attempts=[],
    )
    return record.model_copy(update=changes)


def without_hash(text: str) -> dict[str, Any]:
    """Return the fields of a record's text as earlier versions wrote them, without a hash."""
    fields: dict[str, Any] = json.loads(text)
    fields.pop(record_hash.KEY, None)
    return fields


def hashed_again(text: str) -> str:
    """Return the text of a record that was changed on purpose, with the hash of what stands in it now."""
    return record_hash.with_hash(without_hash(text))


def with_code(record: Record, user_code: str | None, harness_code: str = "a" * 64, **changes: Any) -> Record:
    """Return the record with hashes of the user's and the harness's code apart."""
    own = {"code": None, "harness_code": harness_code, "user_code": user_code, "user_commit": "c" * 40}
    return record.model_copy(update={"versions": record.versions.model_copy(update=own | changes)})


def failed_of(trial: Trial, error: str = "Traceback ...\nOSError: broken") -> Record:
    """Return a record of a trial that failed."""
    attempt = Attempt(started_at=WHEN, ended_at=WHEN, status="failed", error=error)
    return record_of(trial, status="failed", epochs=[], parameters=None, attempts=[attempt])


def diverged_of(trial: Trial) -> Record:
    """Return a record of a trial that diverged."""
    attempt = Attempt(started_at=WHEN, ended_at=WHEN, status="diverged", error="NaN or infinity in epoch 2")
    return record_of(trial, status="diverged", attempts=[attempt])
