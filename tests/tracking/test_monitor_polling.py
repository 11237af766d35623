"""What each poll of the monitor finds: records, leases, suites and the time left."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from harness.config.suite import Suite, Trial
from harness.errors import StoreError
from harness.results.store import Found, Store
from harness.tracking.monitor.monitor import Monitor
from tests.support.monitor_scene import Scene
from tests.support.records import SUITE, epochs_of, failed_of, record_of, suite_of


@dataclasses.dataclass(frozen=True)
class Counting(Store):
    """Counts what is looked up."""

    found: list[Trial] = dataclasses.field(default_factory=list)

    def find(self, trial: Trial) -> Found:
        self.found.append(trial)
        return super().find(trial)


def test_only_what_has_changed_is_read(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = list(scene.suite.trials())[:3]
    scene.store.save(first, record_of(first))
    scene.store.save(second, failed_of(second))
    store = Counting(scene.store.root)
    monitor = scene.monitor(store)
    for _ in range(3):
        monitor.poll()
    assert store.found == [first, second]
    scene.store.save(second, record_of(second))
    for _ in range(3):
        monitor.poll()
    assert store.found == [first, second, second]
    path = store.record_path(third)
    path.write_text("{", encoding="utf-8")
    (end,) = monitor.poll().ended
    assert end.text.startswith(f"{path}: unreadable record: ")
    assert not monitor.poll().ended
    path.write_text(record_of(third).to_json(), encoding="utf-8")  # mended in place
    (end,) = monitor.poll().ended
    assert end.text == "done, test 80.00 %"
    monkeypatch.setattr(Path, "read_text", lambda path, **how: pytest.fail(f"{path} is read again"))
    monitor.poll()


def test_a_stale_record_is_read_once_and_its_trial_is_left(scene: Scene) -> None:
    first, *_ = scene.suite.trials()
    scene.store.save_suite(scene.suite.model_copy(update={"data_digest": "b" * 64}))
    scene.store.save(first, record_of(first, data_digest="a" * 64))
    store = Counting(scene.store.root)
    monitor = scene.monitor(store)
    for _ in range(3):
        assert monitor.poll().suites[0].counts["left"] == len(list(scene.suite.trials()))
    assert len(store.found) == 1


@dataclasses.dataclass(frozen=True)
class Vanishing(Store):
    """Loses what is about to be read."""

    def find(self, trial: Trial) -> Found:
        self.record_path(trial).unlink()
        return super().find(trial)

    def lease_path(self, trial: Trial, generation: int) -> Path:
        path = super().lease_path(trial, generation)
        path.unlink(missing_ok=True)
        return path

    def load_suite(self, folder: str) -> Suite:
        if (self.root / "cut").exists():
            (self.root / folder / "suite.json").unlink()
        return super().load_suite(folder)


def test_what_vanishes_before_it_is_read_is_not_there(scene: Scene) -> None:
    first, second = list(scene.suite.trials())[:2]
    scene.store.save(first, record_of(first))
    scene.take(second, "n1")
    store = Vanishing(scene.store.root)
    snapshot = scene.monitor(store).poll()
    assert str(snapshot.suites[0]) == "0 of 6 done, 6 left"
    assert (snapshot.suites[0].held, snapshot.ended, snapshot.latest) == ([], [], [])
    (store.root / "cut").touch()
    monitor = scene.monitor(store)
    assert monitor.poll().awaited == ["small"]
    shutil.rmtree(store.root)
    assert monitor.poll().awaited == ["small"]
    assert not monitor.poll().is_over


def test_records_that_go_are_trials_that_are_left(scene: Scene) -> None:
    first = scene.trial("one", 1)
    scene.store.save(first, record_of(first))
    monitor = scene.monitor()
    assert str(monitor.poll().suites[0]) == "1 of 6 done, 5 left"
    scene.store.record_path(first).unlink()
    assert str(monitor.poll().suites[0]) == "0 of 6 done, 6 left"


def test_a_suite_that_changes_is_read_again(scene: Scene, tmp_path: Path) -> None:
    first = scene.trial("one", 1)
    scene.store.save(first, record_of(first))
    monitor = scene.monitor()
    monitor.poll()
    scene.store.save_suite(suite_of(tmp_path, SUITE.replace("seeds: 3", "seeds: 4")))
    assert str(monitor.poll().suites[0]) == "1 of 8 done, 7 left"
    path = scene.store.root / "small" / "suite.json"
    path.write_text("{", encoding="utf-8")
    assert str(monitor.poll().suites[0]) == "1 of 8 done, 7 left"  # as it was known
    with pytest.raises(StoreError, match=r"suite\.json: unreadable"):
        scene.monitor().poll()


def test_seeds_that_results_call_for_are_counted(scene: Scene, tmp_path: Path) -> None:
    rule = "seeds: {half_width_points: 0.1, at_least: 2, at_most: 4}"
    scene.suite = suite_of(tmp_path, SUITE.replace("seeds: 3", rule))
    scene.store.save_suite(scene.suite)
    monitor = scene.monitor()
    assert str(monitor.poll().suites[0]) == "0 of 4 done, 4 left"
    for seed, accuracy in ((1, 0.5), (2, 0.9)):
        trial = scene.trial("one", seed)
        scene.store.save(trial, record_of(trial, accuracy))
    snapshot = monitor.poll()
    assert str(snapshot.suites[0]) == "2 of 6 done, 4 left"


def test_the_time_left_is_that_of_records_and_of_trials_under_way(scene: Scene, tmp_path: Path) -> None:
    one, two = scene.trial("one", 1), scene.trial("two", 1)
    scene.take(one, "n1")
    scene.take(two, "n2")
    monitor = scene.monitor()
    assert monitor.poll().time_left is None  # nothing tells
    scene.beat(one, 0.5, epoch=1)  # 2.5 s an epoch, 2 epochs
    assert str(monitor.poll().time_left) == "about 6 s left, 2 at once, and 3 of unknown time"
    trial = scene.trial("two", 2)
    scene.store.save(trial, record_of(trial))
    # 2.5 and 5 s of those under way, 3 trials of 5 s to come.
    assert str(monitor.poll().time_left) == "about 11 s left, 2 at once"
    assert monitor.poll().suites[0].completed == 1.5
    elsewhere = suite_of(tmp_path, SUITE.replace("suite: small", "suite: other"))
    for trial in elsewhere.trials():
        slow = [each.model_copy(update={"train_seconds": 60.0}) for each in epochs_of(trial, 0.8)]
        scene.store.save(trial, record_of(trial, epochs=slow))
    # 2.5 and 121 s, and 5, 5 and 121 s.
    assert str(scene.monitor().poll().time_left) == "about 2 min 07 s left, 2 at once"


def test_a_claim_of_an_earlier_form_is_followed(scene: Scene) -> None:
    trial = scene.trial("one", 1)
    scene.take(trial, "n1")
    monitor = scene.monitor()
    monitor.poll()
    path = scene.store.lease_path(trial, 1)
    path.write_bytes(path.read_bytes().partition(b"\n")[0] + b"\n%020d\n" % 1)
    (held,) = monitor.poll().suites[0].held
    assert (held.lease_progress, held.fraction, held.is_moving) == (None, 0.0, True)
    path.write_bytes(b"cut")
    scene.seconds = 1.0
    (held,) = monitor.poll().suites[0].held
    assert (str(held.owner), held.last_heartbeat) == ("process 0 on an unknown host", "first seen 0 s ago")


def test_all_suites_are_followed_where_none_is_named(scene: Scene) -> None:
    monitor = Monitor(scene.store, scene.store.folders, lambda: 0.0)
    assert [suite.folder for suite in monitor.poll().suites] == ["small"]
    scene.store.save_suite(scene.suite.model_copy(update={"suite": "other"}))
    assert [suite.folder for suite in monitor.poll().suites] == ["other", "small"]
    assert Monitor(scene.store, list, lambda: 0.0).poll().is_over


def test_a_suite_that_is_given_is_followed_as_it_is(scene: Scene, tmp_path: Path) -> None:
    first = scene.trial("one", 1)
    scene.store.save(first, record_of(first))
    edited = suite_of(tmp_path, SUITE.replace("seeds: 3", "seeds: 4"))
    monitor = Monitor(scene.store, lambda: ["small"], lambda: 0.0, {"small": edited})
    assert str(monitor.poll().suites[0]) == "1 of 8 done, 7 left"  # whatever suite.json says
