"""A report counts records of one data digest in a row, and names the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config.suite import Trial
from harness.results.record import Record
from harness.results.store import Store
from tests.support.comparison_cases import Harness
from tests.support.records import record_of, suite_of

OLD, NEW = "a" * 64, "b" * 64


def record(trial: Trial) -> Record:
    is_old = trial.experiment == "one" and trial.seed == 2
    ended = f"2026-01-02T03:04:0{4 if is_old else 5}+00:00"
    return record_of(trial, 0.1 if is_old else 0.8, data_digest=OLD if is_old else NEW, ended_at=ended)


@pytest.mark.parametrize("kept", [NEW, ""])
def test_two_data_digests_are_never_averaged(kept: str, harness: Harness) -> None:
    store, suite = Store(Path("results")), suite_of(Path()).model_copy(update={"data_digest": kept})
    store.save_suite(suite)
    for trial in suite.trials():
        store.save(trial, record(trial))
    assert harness("report", "--html")[0] == 0
    text = Path("results/small/table.md").read_text(encoding="utf-8")
    assert "80.00 % ± 0.00 % (2 of 3)**; stale: seed 2" in text
    assert "in no figure above: digest aaaaaaaa: one seed 2. The data of the figures above have" in text
    assert "the digest bbbbbbbb." in text
    page = Path("results/index.html").read_text(encoding="utf-8")
    assert "digest aaaaaaaa: one seed" in page
    assert '<span class="state missing">stale</span>' in page
    assert "\none,1,done,1" in Path("results/small/epochs.csv").read_text(encoding="utf-8")
    assert "\none,2" not in Path("results/small/epochs.csv").read_text(encoding="utf-8")
    assert harness("report", "--check")[0] == 0
    assert "small/one: 1 record is stale, made from other data" in harness("status")[1]


def test_a_suite_that_is_given_by_its_file_mixes_none_either(harness: Harness) -> None:
    store, suite = Store(Path("results")), suite_of(Path())
    store.save_suite(suite)
    for trial in suite.trials():
        store.save(trial, record(trial))
    assert harness("report", "suite.yaml")[0] == 0
    assert "stale: seed 2" in Path("results/small/table.md").read_text(encoding="utf-8")
    for command in ("plan", "status"):
        assert "small/one: 1 record is stale, made from other data" in harness(command, "suite.yaml")[1]


def test_a_folder_of_one_digest_names_none(harness: Harness) -> None:
    store, suite = Store(Path("results")), suite_of(Path())
    store.save_suite(suite)
    for trial in suite.trials():
        store.save(trial, record_of(trial))
    assert harness("report")[0] == 0
    assert "igest" not in Path("results/small/table.md").read_text(encoding="utf-8")
