"""A metric that is added to the registry is recorded and shown; records without it are read as before."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
import torch

from harness.report import aggregate, csv_export
from harness.report.html import page
from harness.report.table import layout
from harness.results.metrics import COMPARED, METRICS, OF_EPOCH, Metric
from harness.results.record import Epoch, Record
from harness.results.store import Store
from tests.support.filled_stores import ONE
from tests.support.records import record_of, suite_of

TOP2 = Metric("top2", "top-2 accuracy", lambda logits, labels: (logits.topk(2)[1] == labels[:, None]).sum())


@pytest.fixture(autouse=True)
def _later(monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("train", "test"):
        monkeypatch.setitem(OF_EPOCH, f"{part}_top2", TOP2)
        monkeypatch.setitem(COMPARED, f"{part}_top2_points", (part, TOP2))
    figures = (*aggregate.FIGURES, "train_top2", "test_top2")
    for module in (aggregate, csv_export):
        monkeypatch.setattr(module, "FIGURES", figures)


def with_top2(record: Record, value: float) -> Record:
    epochs = [
        Epoch.of({**each.metrics, "train_top2": value, "test_top2": value}, **rest_of(each))
        for each in record.epochs
    ]
    return record.model_copy(update={"epochs": epochs})


def rest_of(epoch: Epoch) -> dict[str, float]:
    return {name: getattr(epoch, name) for name in ("epoch", "lr", "train_seconds", "eval_seconds")}


@pytest.mark.parametrize("lacking", [0, 1])
def test_it_is_in_csv_where_all_records_have_it(tmp_path: Path, lacking: int) -> None:
    suite = suite_of(tmp_path, ONE)
    store = Store(tmp_path / "results")
    store.save_suite(suite)
    for number, trial in enumerate(suite.trials()):
        record = record_of(trial)
        store.save(trial, record if number < lacking else with_top2(record, 0.75))
    contents = aggregate.SuiteResults.of(store, suite.folder)
    (row,) = csv.DictReader(csv_export.table(contents).splitlines())
    assert row["done"] == "3"
    assert row["test_accuracy_mean"]
    assert row["test_top2_mean"] == ("" if lacking else "0.75")
    lines = list(csv.DictReader(csv_export.epochs(contents).splitlines()))
    assert {line["train_top2"] for line in lines} == ({"", "0.75"} if lacking else {"0.75"})


def test_it_is_on_the_page_for_the_records_that_have_it(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, ONE)
    store = Store(tmp_path / "results")
    store.save_suite(suite)
    for number, trial in enumerate(suite.trials()):
        store.save(trial, with_top2(record_of(trial), 0.75) if number else record_of(trial))
    contents = aggregate.SuiteResults.of(store, suite.folder)
    text = page([contents], [layout(contents)], lambda path: None)
    assert '<th scope="col" class="number">Testing top-2 accuracy</th>' in text
    assert "Top-2 accuracy by epoch</th>" in text
    assert text.count("testing 75.00 % to 75.00 %") == len(list(suite.trials())) - 1
    assert "nan" not in re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.DOTALL)


def test_records_hold_it_beside_the_four_and_refuse_what_cannot_be(tmp_path: Path) -> None:
    (trial, *_) = suite_of(tmp_path, ONE).trials()
    plain = record_of(trial)
    assert "others" not in plain.to_json()
    record = with_top2(plain, 0.75)
    assert Record.from_json(record.to_json()) == record
    assert record.epochs[0].others == {"train_top2": 0.75, "test_top2": 0.75}
    count = trial.settings.training.epochs
    assert with_top2(plain, 1.5).mistake(count) == (
        "found the top-2 accuracy 1.5 in epoch 1, expected one from 0 to 1"
    )


def test_fractions_are_counted() -> None:
    logits = torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.1, 0.4], [0.3, 0.6, 0.1]])
    labels = torch.tensor([2, 1, 0])
    counted = [int(each.count(logits, labels)) for each in (*METRICS, TOP2) if each.count]
    assert counted == [1, 2]
