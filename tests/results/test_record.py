"""Records from JSON: the fast reader and the patient one agree."""

from __future__ import annotations

import hashlib
import json
import math
import random
import struct
from pathlib import Path

import pytest

from harness.results.record import Attempt, Record
from tests.support.records import WHEN, hashed_again, record_of, suite_of, without_hash


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
    assert [each.train_loss for each in Record.model_validate(without_hash(text)).epochs] == finite


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
    text = json.dumps({**without_hash(record.to_json()), **change})
    with pytest.raises(ValueError, match="Record"):
        Record.from_json(text)


@pytest.mark.parametrize(
    ("kept", "change", "mistake"),
    [
        ([], {}, "found 0 epochs of a trial that is done, expected 2"),
        ([0], {}, "found 1 epochs of a trial that is done, expected 2"),
        ([0, 1, 1], {}, "found 3 epochs of a trial that is done, expected 2"),
        ([1, 0], {}, "found epochs numbered [2, 1], expected 1 to 2"),
        (
            [0, 1],
            {"test_accuracy": 7.0},
            "found the accuracy 7.0 in epoch 1, expected one from 0 to 1",
        ),
        ([0, 1], {"train_accuracy": -0.1}, "found the accuracy -0.1 in epoch 1"),
        ([0, 1], {"test_accuracy": math.nan}, "found epoch 1 of a trial that is done without a figure"),
        ([0, 1], {"test_loss": math.inf}, "found epoch 1 of a trial that is done without a figure"),
        ([0, 1], {}, ""),
    ],
)
def test_what_no_trial_leaves_is_a_mistake(
    record: Record, kept: list[int], change: dict[str, float], mistake: str
) -> None:
    epochs = [each.model_copy(update=change) for each in record.epochs]
    found = record.model_copy(update={"epochs": [epochs[index] for index in kept]})
    assert found.mistake(2).startswith(mistake) if mistake else not found.mistake(2)
    assert not found.model_copy(update={"epochs": [], "status": "failed"}).mistake(2)
    if not all(map(math.isfinite, change.values())):
        assert not found.model_copy(update={"status": "diverged"}).mistake(2)


def test_a_figure_that_is_not_finite_is_nan_and_a_time_must_be_finite(record: Record) -> None:
    data = without_hash(record.to_json())
    data["epochs"][0]["test_loss"] = None
    assert math.isnan(Record.from_json(json.dumps(data)).epochs[0].test_loss)
    data["epochs"][0]["train_seconds"] = None
    with pytest.raises(ValueError, match="train_seconds"):
        Record.from_json(json.dumps(data))


def test_whole_numbers_stand_for_figures(record: Record) -> None:
    data = without_hash(record.to_json())
    data["epochs"][0]["test_accuracy"] = 1
    first = Record.from_json(json.dumps(data)).epochs[0]
    assert (first.test_accuracy, type(first.test_accuracy)) == (1.0, float)


def test_an_edited_digit_is_found(record: Record) -> None:
    text = record.to_json()
    with pytest.raises(ValueError, match=r"not what was recorded: found the sha256 \w{8}…, expected \w{8}…"):
        Record.from_json(text.replace('"test_accuracy": 0.8,', '"test_accuracy": 0.81,'))
    edited = text.replace('"test_accuracy": 0.8,', '"test_accuracy": 0.81,')
    assert Record.from_json(hashed_again(edited)).epochs[-1].test_accuracy == 0.81


def test_every_change_of_a_byte_is_found_or_changes_nothing(record: Record) -> None:
    content = record.to_json().encode()
    for place in range(len(content)):
        for bit in (0, 1, 4, 5):
            damaged = bytearray(content)
            damaged[place] ^= 1 << bit
            try:
                assert Record.from_json(damaged.decode()) == record
            except ValueError:
                continue


def test_spaces_line_ends_and_escapes_are_no_content(record: Record) -> None:
    text = record.model_copy(update={"experiment": "é"}).to_json()
    fields = json.loads(text)
    for same in (
        text.replace("\n", "\r\n"),
        json.dumps(fields),
        json.dumps(fields, indent=4, ensure_ascii=False),
    ):
        assert Record.from_json(same).experiment == "é"


def test_records_of_earlier_versions_have_no_hash(record: Record) -> None:
    assert Record.from_json(json.dumps(without_hash(record.to_json()), indent=1)) == record


def test_the_hash_is_as_the_documentation_says(record: Record) -> None:
    fields = json.loads(record.to_json())
    told = fields.pop("sha256")
    assert hashlib.sha256(json.dumps(fields, indent=1).encode()).hexdigest() == told


def test_json_that_is_nested_deeply_is_no_record() -> None:
    with pytest.raises(ValueError, match="nested"):
        Record.from_json('{"sha256": ' * 100_000)
