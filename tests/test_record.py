"""Records from JSON: the fast reader and the patient one agree."""

from __future__ import annotations

import json
import math
import random
import struct
from pathlib import Path

import pytest

from harness.record import Attempt, Record
from tests.records import WHEN, record_of, suite_of


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return record_of(next(suite_of(tmp_path).trials()))


def test_any_float_comes_back_to_the_last_bit(record: Record) -> None:
    random_bits = random.Random(1)
    values = [struct.unpack("d", random_bits.randbytes(8))[0] for _ in range(20_000)]
    finite = [value for value in values if math.isfinite(value)]
    epochs = [record.epochs[0].model_copy(update={"train_loss": value}) for value in finite]
    text = record.model_copy(update={"epochs": epochs}).to_json()
    assert [each.train_loss for each in Record.from_json(text).epochs] == finite
    assert [each.train_loss for each in Record.model_validate(json.loads(text)).epochs] == finite


def test_a_traceback_may_hold_half_a_surrogate_pair(record: Record) -> None:
    error = b"no such file: caf\xe9".decode("utf-8", "surrogateescape")
    attempt = Attempt(started_at=WHEN, ended_at=WHEN, status="failed", error=error)
    text = record.model_copy(update={"attempts": [attempt]}).to_json()
    assert Record.from_json(text).attempts[0].error == error


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1.0},
        {"seed": "1"},
        {"status": "gone"},
        {"samples_per_second": math.nan},
        {"unknown": 1},
        {"epochs": [{"epoch": 1}]},
        {"epochs": None},
    ],
)
def test_what_is_no_record_is_refused_as_ever(record: Record, change: dict[str, object]) -> None:
    text = json.dumps({**json.loads(record.to_json()), **change})
    with pytest.raises(ValueError, match="Record"):
        Record.from_json(text)


def test_a_figure_that_is_not_finite_is_nan_and_a_time_must_be_finite(record: Record) -> None:
    data = json.loads(record.to_json())
    data["epochs"][0]["test_loss"] = None
    assert math.isnan(Record.from_json(json.dumps(data)).epochs[0].test_loss)
    data["epochs"][0]["train_seconds"] = None
    with pytest.raises(ValueError, match="train_seconds"):
        Record.from_json(json.dumps(data))


def test_whole_numbers_stand_for_figures(record: Record) -> None:
    data = json.loads(record.to_json())
    data["epochs"][0]["test_accuracy"] = 1
    first = Record.from_json(json.dumps(data)).epochs[0]
    assert (first.test_accuracy, type(first.test_accuracy)) == (1.0, float)
