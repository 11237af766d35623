"""Records and the files that they are: strict, exact, whole, never replaced."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from harness.config.suite import Suite, Trial
from harness.errors import LostLeaseError, StoreError, UsageError
from harness.results.atomic_files import write_whole
from harness.results.record import Record
from harness.results.store import Store
from tests.support.records import failed_of, record_of, suite_of


def test_floats_come_back_exactly(trial: Trial) -> None:
    values = [0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308, 2.0**-30]
    epochs = [record_of(trial).epochs[0].model_copy(update={"train_loss": value}) for value in values]
    text = record_of(trial, epochs=epochs).to_json()
    assert [epoch.train_loss for epoch in Record.from_json(text).epochs] == values


def test_json_is_strict_and_nan_is_null(trial: Trial) -> None:
    first = record_of(trial).epochs[0].model_copy(update={"train_loss": math.nan, "test_loss": math.inf})
    text = record_of(trial, status="diverged", epochs=[first]).to_json()

    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    assert json.loads(text, parse_constant=refuse)["epochs"][0]["train_loss"] is None
    assert math.isnan(Record.from_json(text).epochs[0].train_loss)


def test_a_record_stands_under_its_suite_experiment_and_digest(store: Store, trial: Trial) -> None:
    store.save(trial, record_of(trial))
    assert store.record_path(trial) == store.root / "small" / "one" / f"seed-1-{trial.digest[:8]}.json"
    found = store.find(trial)
    assert (found.state, found.record) == ("done", record_of(trial))


def test_a_done_record_is_never_replaced(store: Store, trial: Trial) -> None:
    store.save(trial, record_of(trial))
    with pytest.raises(LostLeaseError, match="no record is ever replaced"):
        store.save(trial, record_of(trial, test_accuracy=0.1))
    assert store.find(trial).record == record_of(trial)


def test_earlier_attempts_are_kept_until_the_trial_is_done(store: Store, trial: Trial) -> None:
    first = failed_of(trial)
    second = first.model_copy(update={"attempts": [*first.attempts, *first.attempts]})
    store.save(trial, first)
    store.save(trial, second)
    assert store.find(trial).record == second
    with pytest.raises(LostLeaseError, match="another run has recorded it already"):
        store.save(trial, second)
    for path in store.checkpoint_paths(trial):
        write_whole(path, b"")
    store.save(trial, record_of(trial))
    assert store.find(trial).state == "done"
    assert list(store.root.glob("*/*/*")) == [store.record_path(trial)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ('{"schema_version": 1, "suite"', "delimiter"),
        ("[]", "valid dictionary"),
        ('{"schema_version": 2}', "schema_version"),
        ("\ud800", "decode"),
    ],
)
def test_an_unreadable_record_is_a_state(store: Store, trial: Trial, text: str, why: str) -> None:
    path = store.record_path(trial)
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    found = store.find(trial)
    assert found.state == "unreadable"
    assert found.error is not None
    assert str(path) in found.error
    assert why in found.error


def test_a_record_of_another_digest_is_unreadable_under_this_name(store: Store, suite: Suite) -> None:
    one, two, *_ = suite.trials()
    write_whole(store.record_path(one), record_of(two).to_json().encode())
    assert store.find(one).state == "unreadable"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"seed": 2}, "found the seed 2, expected 1"),
        ({"experiment": "two"}, "found the experiment 'two', expected 'one'"),
        ({"settings": {}}, "found settings with the digest …"),
        ({"settings": {"training": 1, "dataset": 1, "model": 1}}, "found settings with the digest …"),
    ],
)
def test_a_record_that_contradicts_itself_is_unreadable(
    store: Store, trial: Trial, change: dict[str, Any], why: str
) -> None:
    store.save(trial, record_of(trial, **change))
    found = store.find(trial)
    assert (found.state, found.record) == ("unreadable", None)
    assert found.error is not None
    assert f"{store.record_path(trial)}: unreadable record: {why}" in found.error


def test_settings_that_were_edited_do_not_match_the_digest(store: Store, trial: Trial) -> None:
    settings = record_of(trial).settings
    settings["training"]["optimizer"]["lr"] = 0.02
    store.save(trial, record_of(trial, settings=settings))
    assert "expected those of its own" in (store.find(trial).error or "")


def test_records_of_other_digests_are_stale(store: Store, suite: Suite, tmp_path: Path) -> None:
    from tests.support.records import SUITE

    trials = list(suite.trials())
    for trial in trials:
        store.save(trial, record_of(trial))
    changed = suite_of(tmp_path, SUITE.replace("lr: 0.01", "lr: 0.05"))
    assert [found.state for found in map(store.find, changed.trials())] == ["left"] * 3 + ["done"] * 3
    assert store.stale(changed) == [store.record_path(trial) for trial in trials[:3]]
    assert store.stale(suite) == []


def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "record.json"
    write_whole(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match=r"record\.json: cannot be written: No space left on device"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_suite_comes_back_from_the_results(store: Store, suite: Suite) -> None:
    store.save_suite(suite)
    assert store.load_suite("small") == suite
    assert store.folders() == ["small"]


def test_results_that_are_not_there_are_named(store: Store, suite: Suite) -> None:
    store.save_suite(suite)
    with pytest.raises(UsageError, match="there are: small"):
        store.load_suite("smal")


def test_a_file_that_is_written_again_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write_whole(path, b"new")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o640)
