"""Whole runs on data of a user's own: files and code, ranks, places of the data, changes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from harness.results.record import Record
from tests.support.runs import ONE_TRIAL, assert_equal, figures, records, run, torchrun
from tests.support.tiny_data import OWN, arrays, write_images

MLP = "  mlp: {model: {name: mlp, hidden: [8], dropout: 0.2}}\n"
WANDERS = "  wanders: {model: {name: 'tests.support.own_models:wanders'}}\n"


def write(dataset: str, experiments: str = MLP, path: str = "suite.yaml") -> None:
    """Write a suite of this dataset."""
    head, _, _ = ONE_TRIAL.partition("experiments:")
    head = re.sub("^dataset: .*$", f"dataset: {dataset}", head, flags=re.MULTILINE)
    text = head.replace("batch_size: 1500", "batch_size: 8") + f"experiments:\n{experiments}"
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


@pytest.mark.usefixtures("folder")
def test_ranks_and_the_place_of_the_data_change_nothing() -> None:
    write_images(Path("data/flowers/train"), 8)
    write_images(Path("data/flowers/test"), 5)
    write(
        "{name: folder, path: flowers, normalize: dataset, validation: {fraction: 0.25}}", path="data/s.yaml"
    )
    run("data/s.yaml", "--nproc", "1", "--data-on", "device")
    expected = figures()
    (record,) = records().values()
    assert record.samples == {"train": 18, "test": 15, "validation": 6}
    assert record.settings["dataset"]["path"] == "data/flowers"
    table = Path("results/small/table.md").read_text(encoding="utf-8")
    assert "Dataset: data/flowers, normalized, 25 % of the training samples held out." in table
    assert "15 images determine an accuracy" in table
    for number, options in enumerate((["--data-on", "host"], ["--placement", "ddp"])):
        results = f"results-{number}"
        run("data/s.yaml", "--nproc", "2", *options, "--no-calibrate", "--results", results)
        assert_equal(figures(results), expected)
    torchrun("--standalone", "--nproc_per_node=2", "-m", "harness", "data/s.yaml", "--results", "by-torchrun")
    assert_equal(figures("by-torchrun"), expected)


@pytest.mark.usefixtures("folder")
def test_a_model_that_leaves_the_folder_takes_no_data_along() -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
    np.savez("x.npz", x_train=x, y_train=np.arange(40) % 3, x_test=x[:9], y_test=np.arange(9) % 3)
    write("{name: npz, path: x.npz}", WANDERS + MLP)
    run("suite.yaml", "--nproc", "1")
    assert {record.status for record in records().values()} == {"done"}


@pytest.mark.usefixtures("folder")
def test_replaced_data_are_said_and_trained_on() -> None:
    np.savez("x.npz", allow_pickle=False, **arrays(5))
    write("{name: npz, path: x.npz}")
    run("suite.yaml", "--nproc", "1")
    np.savez("x.npz", allow_pickle=False, **arrays(5, train=48))
    said = "small: the data of x.npz are not those with which it last ran"
    assert said in run("plan", "suite.yaml")
    output = run("suite.yaml", "--nproc", "1")
    assert said in output
    assert "made from other data, set aside as" in output
    assert "1 of 1 trials left" not in run("plan", "suite.yaml")


@pytest.mark.usefixtures("folder")
def test_moved_data_are_the_same() -> None:
    np.savez("x.npz", allow_pickle=False, **arrays(5))
    write("{name: npz, path: x.npz}")
    run("suite.yaml", "--nproc", "1")
    Path("x.npz").rename("y.npz")
    write("{name: npz, path: y.npz}")
    assert "0 of 1 trials left" in run("plan", "suite.yaml")


@pytest.mark.usefixtures("folder")
def test_data_of_a_callable_and_its_changes() -> None:
    Path("own_garden.py").write_text(OWN, encoding="utf-8")
    write("{name: 'own_garden:flowers', count: 60, split: {test: 0.25}}")
    assert "1 of 1 trials left" in run("plan", "suite.yaml")
    run("suite.yaml", "--nproc", "2")
    (record,) = records().values()
    assert record.versions.user_code
    assert record.samples == {"train": 45, "test": 15}
    Path("own_garden.py").write_text(OWN.replace("% 3", "% 2"), encoding="utf-8")
    assert "1 of 1 records are of other user code" in run("plan", "suite.yaml")
    run("suite.yaml", "--nproc", "1", "--retrain", "mlp")
    (path,) = (each for each in Path("results").glob("*/*/seed-1-*.json") if "superseded" not in each.name)
    new = Record.from_json(path.read_text(encoding="utf-8"))
    assert new.data_digest != record.data_digest
    assert new.versions.user_code != record.versions.user_code
