"""Numerics version: only what a change touches gets another digest, and that is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import numerics
from harness.config.suite import Suite, digest_of
from harness.results.code_changes import sentences
from harness.results.store import Store
from harness.results.user_code_hash import UserCodes
from tests.support.records import SUITE, record_of, suite_of

DRY = SUITE.replace("two: {model: {hidden: [16]}", "two: {model: {dropout: 0.0}")
MASKS = numerics.Change("dropout draws other masks", lambda settings: settings["model"].get("dropout", 0) > 0)


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return suite_of(tmp_path, DRY)


def test_version_1_is_in_no_digest(suite: Suite) -> None:
    trial = next(suite.trials())
    assert trial.numerics == 1
    assert trial.earlier == {}
    assert digest_of({**trial.settings.model_dump(), "seed": 1}, 1) == trial.digest


def test_a_change_makes_stale_what_it_touches_and_names_it(
    suite: Suite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "results")
    for trial in suite.trials():
        store.save(trial, record_of(trial))
    before = {trial.key: trial.digest for trial in suite.trials()}
    monkeypatch.setitem(numerics.CHANGES, 2, MASKS)
    again = suite_of(tmp_path, DRY)
    states = {trial.key: store.find(trial).state for trial in again.trials()}
    assert states == {key: "left" if "/one/" in key else "done" for key in before}
    assert {trial.numerics for trial in again.trials() if trial.experiment == "one"} == {2}
    assert all(
        trial.earlier == {1: before[trial.key]} for trial in again.trials() if trial.experiment == "one"
    )
    assert len(store.stale(again)) == 3
    assert sentences(store, again, UserCodes()) == [
        "small/one: records of numerics version 1 are stale, as version 2 differs: dropout draws other "
        "masks; a run trains them again"
    ]


def test_a_record_without_a_version_is_of_version_1(suite: Suite) -> None:
    record = record_of(next(suite.trials()))
    fields = json.loads(record.to_json())
    fields.pop("sha256", None)
    del fields["versions"]["numerics"]
    assert type(record).from_json(json.dumps(fields)).versions.numerics == 1
