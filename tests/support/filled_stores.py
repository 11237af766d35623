"""Folders of results as runs would leave them, whole or troubled, with figures of our choice."""

from __future__ import annotations

from harness.config.suite import Suite, Trial
from harness.results.atomic_files import write_whole
from harness.results.store import Store
from tests.support.records import SUITE, diverged_of, failed_of, record_of, with_code

ONE = SUITE.partition("  two:")[0]


ACCURACIES = {("one", 1): 0.8, ("one", 2): 0.81, ("one", 3): 0.83, ("two", 1): 0.7, ("two", 2): 0.9}


def accuracy(trial: Trial) -> float:
    return ACCURACIES.get((trial.experiment, trial.seed), 0.75)


def full(store: Store, suite: Suite) -> None:
    for trial in suite.trials():
        store.save(trial, record_of(trial, accuracy(trial)))


def validated(store: Store, suite: Suite) -> None:
    """Record validation samples, on which the experiment is better that is worse on the test set."""
    for trial in suite.trials():
        record, better = record_of(trial, accuracy(trial)), 1.0 - accuracy(trial)
        epochs = [
            each.model_copy(update={"others": {"validation_loss": 0.5, "validation_accuracy": better}})
            for each in record.epochs
        ]
        store.save(trial, record.model_copy(update={"epochs": epochs}))


def troubled(store: Store, suite: Suite) -> None:
    """Leave one trial failed, one diverged, one unreadable, one missing and the rest done."""
    one, failing, diverging, unreadable, missing, last = suite.trials()
    store.save(one, record_of(one, 0.8))
    store.save(failing, failed_of(failing))
    store.save(diverging, diverged_of(diverging))
    write_whole(store.record_path(unreadable), b'{"cut')
    assert store.find(missing).state == "left"
    store.save(last, record_of(last, 0.9))


def mixed(store: Store, suite: Suite) -> None:
    """Let the records of a cell differ in user code, device and torch, and in the harness's code."""
    for trial in suite.trials():
        record = with_code(record_of(trial, accuracy(trial)), "e" * 64, f"{trial.seed}" * 64)
        if trial.seed == 2:
            hardware = record.hardware.model_copy(update={"devices": ["A GPU", "A GPU"]})
            record = with_code(record, "f" * 64, "2" * 64, torch="2.15.0")
            record = record.model_copy(update={"hardware": hardware})
        store.save(trial, record)


def nothing(store: Store, suite: Suite) -> None:
    """Leave every trial missing."""


GRID = "  grid: {matrix: {model.dropout: [0.0, 0.5], training.optimizer.lr: [0.1, 0.2]}}"


MATRIX = ONE.replace("  one:", GRID)
