"""The shipped suites are the report's experiments, figure by figure."""

from __future__ import annotations

import csv
from typing import Any

import pytest

from harness.config.loader import load_suite
from harness.config.losses import CrossEntropy
from tests.support import ROOT

SUITES = ROOT / "suites"

ADAM = {"name": "Adam", "lr": 0.001, "weight_decay": 0.0001}
SGD = {"name": "SGD", "lr": 0.05, "weight_decay": 0.0001}
STEP = {"name": "StepLR", "step_size": 20, "gamma": 0.7}
# suite, experiment: patch size, width, hidden sizes, epochs, optimizer, scheduler
REPORT: dict[tuple[str, str], tuple[int, int, list[int], int, dict[str, Any], dict[str, Any] | None]] = {
    ("patch_size", "exp-1"): (2, 128, [64], 10, ADAM, None),
    ("patch_size", "exp-2"): (4, 128, [64], 10, ADAM, None),
    ("patch_size", "exp-3"): (8, 128, [64], 10, ADAM, None),
    ("depth", "exp-4"): (4, 256, [64, 128, 256], 10, ADAM, None),
    ("depth", "exp-5"): (8, 256, [64, 128, 256], 10, ADAM, None),
    ("final", "final"): (4, 256, [64, 64, 128, 128, 256, 256], 50, SGD, STEP),
}


@pytest.mark.parametrize("folder", ["", "fashion"])
@pytest.mark.parametrize(("name", "experiment"), REPORT)
def test_settings_are_those_of_the_report(folder: str, name: str, experiment: str) -> None:
    suite = load_suite(SUITES / folder / f"{name}.yaml")
    patch_size, width, hidden, epochs, optimizer, scheduler = REPORT[name, experiment]
    own = suite.experiments[experiment]
    assert own.model == {"name": "patch_mixer", "patch_size": patch_size, "width": width, "hidden": hidden}
    assert (own.training.epochs, own.training.batch_size, own.training.precision) == (epochs, 128, "fp32")
    assert own.training.optimizer.model_dump(exclude_unset=True) == optimizer
    assert (own.training.scheduler.model_dump() if own.training.scheduler else None) == scheduler
    assert own.training.loss == CrossEntropy()
    assert suite.dataset.model_dump() == {"name": "fashion_mnist" if folder else "kmnist", "resize": 32}
    assert suite.seeds == [1, 2, 3]
    assert suite.published is not None
    assert suite.published.dataset == "kmnist"


@pytest.mark.parametrize(("name", "experiment"), REPORT)
def test_published_figures_are_the_last_of_the_published_curves(name: str, experiment: str) -> None:
    published = load_suite(SUITES / f"{name}.yaml").published
    assert published is not None
    assert published.curves is not None
    with (SUITES / published.curves).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    figures = published.experiments[experiment]
    curves = sorted({row["experiment"] for row in rows if row["experiment"].startswith(experiment)})
    assert len(curves) == published.runs
    for run, curve in enumerate(curves):
        last = [row for row in rows if row["experiment"] == curve][-1]
        for key, values in figures:
            assert values is not None
            assert values[run] == pytest.approx(float(last[key]), abs=6e-5)
