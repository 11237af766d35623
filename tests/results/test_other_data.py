"""Records of other data: stale, counted by nobody, set aside before their trials are trained again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.config.suite import Suite
from harness.results import estimates
from harness.results.atomic_files import write_whole
from harness.results.store import Store
from harness.results.superseded import set_aside_other_data
from tests.support.records import SUITE, diverged_of, failed_of, record_of, suite_of

OLD, NEW = "a" * 64, "b" * 64
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return suite_of(tmp_path).model_copy(update={"data_digest": NEW})


def test_a_record_of_other_data_is_stale_and_its_trial_left(store: Store, suite: Suite) -> None:
    one, two, three, *_ = suite.trials()
    store.save(one, record_of(one, data_digest=OLD))
    store.save(two, record_of(two, data_digest=NEW))
    store.save(three, diverged_of(three).model_copy(update={"data_digest": OLD}))
    found = [
        (each.state, each.other_data, each.record is None) for each in map(store.find, (one, two, three))
    ]
    assert found == [("left", OLD, True), ("done", "", False), ("left", OLD, True)]


def test_unknown_data_and_failures_are_no_other_data(store: Store, suite: Suite, tmp_path: Path) -> None:
    one, two, three, *_ = suite.trials()
    store.save(one, record_of(one, data_digest=""))
    store.save(two, failed_of(two).model_copy(update={"data_digest": OLD}))
    assert [store.find(each).state for each in (one, two, three)] == ["done", "failed", "left"]
    assert store.find(next(suite_of(tmp_path).trials())).state == "done"


def test_a_failure_on_the_new_data_counts_beside_the_old_record(store: Store, suite: Suite) -> None:
    trial = next(suite.trials())
    store.save(trial, record_of(trial, data_digest=OLD))
    store.save(trial, failed_of(trial))
    assert store.find(trial).state == "failed"


def test_suite_json_keeps_the_digest_for_the_same_dataset_only(
    store: Store, suite: Suite, tmp_path: Path
) -> None:
    store.save_suite(suite)
    assert store.load_suite("small").data_digest == NEW
    assert store.data_digest(suite_of(tmp_path)) == NEW
    assert store.data_digest(suite_of(tmp_path, SUITE.replace("resize: 32", "resize: 28"))) == ""
    assert store.data_digest(suite_of(tmp_path, SUITE.replace("suite: small", "suite: other"))) == ""


def test_a_suite_whose_data_are_not_known_keeps_the_digest(
    store: Store, suite: Suite, tmp_path: Path
) -> None:
    store.save_suite(suite)
    store.save_suite(suite_of(tmp_path))
    assert store.load_suite("small").data_digest == NEW
    store.save_suite(suite_of(tmp_path, SUITE.replace("resize: 32", "resize: 28")))
    assert store.load_suite("small").data_digest == ""


def test_without_a_kept_digest_that_of_the_latest_record_counts(store: Store, tmp_path: Path) -> None:
    earlier = suite_of(tmp_path)
    store.save_suite(earlier)
    one, two, three, *_ = earlier.trials()
    store.save(one, record_of(one, data_digest=NEW, ended_at="2026-01-02T00:00:00+00:00"))
    assert store.load_suite("small").data_digest == ""
    store.save(two, record_of(two, data_digest=OLD, ended_at="2026-01-01T00:00:00+00:00"))
    store.save(three, record_of(three, data_digest=NEW, ended_at="2025-01-01T00:00:00+00:00"))
    assert store.load_suite("small").data_digest == NEW


def test_plan_and_status_name_them_alike(store: Store, suite: Suite) -> None:
    store.save_suite(suite)
    for trial in suite.trials():
        store.save(trial, record_of(trial, data_digest=OLD if trial.seed < 3 else NEW))
    sentence = (
        "small/one: 2 records are stale, made from other data (digest aaaaaaaa…, the suite's is bbbbbbbb…): "
        "kept, in no figure, trained again by a run"
    )
    planned = estimates.plan(store, suite)
    text = estimates.plan_text(suite, planned)
    assert sentence in text.splitlines()
    assert text.count("  stale  ") == 4
    assert all(each.seconds for each in planned)  # their times are as good as any
    status = estimates.status(store, store.load_suite("small"))
    assert (status.counts["done"], status.counts["left"], status.stale) == (2, 4, 4)
    assert sentence in estimates.status_text([status]).splitlines()


def test_stale_records_are_set_aside_whole(store: Store, suite: Suite) -> None:
    one, two, *_ = suite.trials()
    store.save(one, record_of(one, data_digest=OLD))
    write_whole(store.weights_path(one), b"weights")
    before = store.record_path(one).read_bytes()
    stem = f"{store.record_path(one).stem}.superseded-20260102T030405Z"
    assert [path.name for path in set_aside_other_data(store, one, NOW)] == [
        f"{stem}.json",
        f"{stem}.weights.pt",
    ]
    assert store.record_path(one).with_name(f"{stem}.json").read_bytes() == before
    assert set_aside_other_data(store, one, NOW) == []
    store.save(one, record_of(one, data_digest=NEW))
    assert set_aside_other_data(store, one, NOW) == []
    store.tidy("small")
    assert len(list(store.record_path(one).parent.iterdir())) == 3
    store.save(two, diverged_of(two).model_copy(update={"data_digest": OLD}))
    (path,) = set_aside_other_data(store, two, NOW)
    assert path.name.endswith(".superseded-20260102T030405Z.attempt-1.json")


def test_nothing_that_was_set_aside_is_replaced(store: Store, suite: Suite) -> None:
    trial = next(suite.trials())
    kept = []
    for digest in (OLD, "c" * 64):
        store.save(trial, record_of(trial, data_digest=digest))
        kept += set_aside_other_data(store, trial, NOW)
    assert len(set(kept)) == 2
    assert all(path.exists() for path in kept)
