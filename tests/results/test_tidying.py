"""Tidying up beside records: what killed runs left goes, and nothing that the harness did not make."""

from __future__ import annotations

import pytest

from harness.config.suite import Suite, Trial
from harness.results.atomic_files import write_whole
from harness.results.store import Store
from tests.support.records import failed_of, record_of


def test_what_killed_processes_left_of_a_trial_is_swept(store: Store, suite: Suite) -> None:
    one, two, *_ = suite.trials()
    kept = [store.record_path(one), *store.checkpoint_paths(one), *store.checkpoint_paths(two)]
    left = [path.with_name(f".{path.name}.a.host.17.0123abcd.tmp") for path in kept]
    for each in [*kept, *left]:
        write_whole(each, b"")
    store.sweep(one)
    assert set(store.root.glob("*/*/*")) == {*kept, *left[3:]}


def test_what_killed_runs_left_beside_done_records_goes(store: Store, suite: Suite) -> None:
    one, two, *_ = suite.trials()
    store.save(one, record_of(one))
    kept = [
        store.record_path(one),
        store.weights_path(one),
        store.lease_path(two, 1),
        *store.checkpoint_paths(two),
    ]
    gone = [store.lease_path(one, 1), *store.checkpoint_paths(one), store.lease_path(one, 12)]
    for path in [*kept[1:], *gone, gone[0].with_name(f".{gone[0].name}.a.host.17.0123abcd.tmp")]:
        write_whole(path, b"")
    store.tidy("small")
    assert set(store.root.glob("*/*/*")) == set(kept)


# Beside {}, the stem of a record: what people, DVC, editors and file servers put there.
OTHERS = (
    "{}.notes.md",
    "{}.predictions.npy",
    "{}.json.bak",
    "{}.json.dvc",
    "{}.json.sha256",
    "{}.json~",
    "{}.weights.onnx",
    "{}.weights.pt.dvc",
    "{}.checkpoint-1.bak",
    "{}.checkpoint-3",
    "{}.checkpoint-",
    "{}.claim-1.txt",
    "{}.claim-x",
    "{}.attempt-1.json.orig",
    "{}.attempt-one.json",
    "{}.tmp",
    ".{}.json.swp",
    ".{}.json.tmp",
    ".{}.mine.tmp",
    ".{}.json.host.17.tmp",
    ".{}.notes.md.host.17.0123abcd.tmp",
    ".{}.json.conflict.host.17.0123ABCD.tmp",
    "copy-of-{}.claim-1",
    "{}-2.claim-1",
)


@pytest.mark.parametrize("name", OTHERS)
def test_what_the_harness_did_not_make_stays(store: Store, trial: Trial, name: str) -> None:
    store.save(trial, record_of(trial))
    record = store.record_path(trial)
    others = [record.with_name(name.format(record.stem)), record.with_name(name.format("seed-x-notes"))]
    for path in others:
        path.write_bytes(b"mine")
    store.tidy("small")
    store.sweep(trial)
    assert set(store.root.glob("*/*/*")) == {record, *others}


def test_links_and_folders_stay_whatever_their_name(store: Store, trial: Trial) -> None:
    link, folder = store.checkpoint_paths(trial)
    folder.mkdir(parents=True)
    link.symlink_to("elsewhere")
    store.save(trial, record_of(trial))
    store.tidy("small")
    assert link.is_symlink()
    assert folder.is_dir()


def test_an_attempt_goes_only_if_the_done_record_tells_of_it(store: Store, trial: Trial) -> None:
    failed = failed_of(trial)
    store.save(trial, failed)
    attempt = store.attempt_path(trial, 1)
    content = attempt.read_bytes()
    store.save(trial, record_of(trial))
    attempt.write_bytes(content)  # as of a folder that was copied into this one
    store.tidy("small")
    assert attempt.exists()
    store.record_path(trial).unlink()
    attempt.unlink()
    store.save(trial, record_of(trial, attempts=failed.attempts))
    attempt.write_bytes(content)
    store.tidy("small")
    assert not attempt.exists()
