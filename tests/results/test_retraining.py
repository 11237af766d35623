"""What `--retrain` sets aside, and what it goes on with."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.config.suite import Suite, Trial
from harness.model_libraries import LIBRARIES
from harness.results.code_changes import kept_aside, sentences
from harness.results.record import Record
from harness.results.retraining import retrain
from harness.results.store import Store
from harness.results.superseded import set_aside, superseded
from harness.results.user_code_hash import UserCodes
from tests.results.test_user_code_hash import OWN
from tests.support.records import diverged_of, failed_of, record_of, suite_of, with_code

FIRST = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
LATER = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    monkeypatch.chdir(tmp_path)
    Path("net").mkdir()
    Path("net/own.py").write_text("act = 1", encoding="utf-8")
    return suite_of(tmp_path, OWN)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def trials_of(suite: Suite, experiment: str = "one") -> list[Trial]:
    return [each for each in suite.trials() if each.experiment == experiment]


def never(trial: Trial, record: Record) -> bool:
    return False


def names(store: Store) -> list[str]:
    return sorted(path.name.partition("-")[2] for path in (store.root / "small" / "one").iterdir())


def test_done_and_diverged_records_are_set_aside(suite: Suite, store: Store) -> None:
    first, second, third = trials_of(suite)
    store.save(first, record_of(first))
    store.weights_path(first).touch()
    store.save(second, diverged_of(second))
    store.save(third, failed_of(third))
    assert set_aside(store, [first, second, third], [first, second, third], never, FIRST) == (2, None)
    assert [store.find(each).state for each in (first, second, third)] == ["left", "left", "failed"]
    assert names(store) == [
        f"1-{first.digest[:8]}.superseded-20260301T120000Z.json",
        f"1-{first.digest[:8]}.superseded-20260301T120000Z.weights.pt",
        f"2-{second.digest[:8]}.superseded-20260301T120000Z.attempt-1.json",
        f"3-{third.digest[:8]}.attempt-1.json",
    ]
    assert superseded(store, "small") == {"one": 2}
    assert not store.stale(suite)


def test_a_retraining_that_is_not_done_goes_on(suite: Suite, store: Store) -> None:
    trials = trials_of(suite)
    first, second, _ = trials
    for each in trials:
        store.save(each, record_of(each))
    set_aside(store, trials, trials, never, FIRST)
    store.save(first, record_of(first, ended_at=LATER.isoformat()))
    store.save(second, record_of(second))  # one that was overlooked as the first call was killed
    assert set_aside(store, trials, trials, never, LATER) == (1, FIRST)
    assert [store.find(each).state for each in trials] == ["done", "left", "left"]


def test_what_was_retrained_with_yet_other_code_is_set_aside_too(suite: Suite, store: Store) -> None:
    trials = trials_of(suite)
    first, second, _ = trials
    store.save(first, record_of(first))
    set_aside(store, trials, trials, never, FIRST)
    store.save(first, record_of(first, ended_at=LATER.isoformat()))
    store.save(second, record_of(second, ended_at=LATER.isoformat()))
    assert set_aside(store, trials, trials, lambda trial, record: True, LATER)[0] == 2


def test_a_retraining_that_is_done_is_followed_by_another(suite: Suite, store: Store) -> None:
    trials = trials_of(suite)[:1]
    for _ in range(2):
        store.save(trials[0], record_of(trials[0], ended_at=LATER.isoformat()))
        assert set_aside(store, trials, trials, never, FIRST) == (1, None)
    assert len(names(store)) == 2  # of one second, too
    store.tidy("small")
    assert len(names(store)) == 2


def test_it_says_what_it_does(suite: Suite, store: Store) -> None:
    trials = list(suite.trials())
    store.save(trials[0], record_of(trials[0]))
    said = [list(retrain(store, [suite], trials, ["one"], UserCodes())) for _ in range(2)]
    assert said[0] == ["small/one: 1 record set aside, kept as superseded"]
    assert said[1][0].startswith("small/one: the retraining that began at 20")
    assert list(retrain(store, [suite], trials, ["two"], UserCodes())) == [
        "small/two: no record to set aside"
    ]
    assert kept_aside(store, suite) == ["small/one: 1 superseded record, kept, in no table"]


def test_records_of_other_user_code_are_told(suite: Suite, store: Store) -> None:
    one, two, three = trials_of(suite)
    codes = UserCodes()
    store.save(one, with_code(record_of(one), codes.hash_of(one)))
    store.save(
        two, with_code(record_of(two), codes.hash_of(two), "b" * 64)
    )  # the harness's code is no matter
    store.save(three, record_of(three))  # of an earlier version, where nobody knows
    assert sentences(store, suite, codes) == []
    before = str(codes.hash_of(one))[:8]
    Path("net/own.py").write_text("act = 2", encoding="utf-8")
    now = str(UserCodes().hash_of(one))[:8]
    assert sentences(store, suite, UserCodes()) == [
        f"small/one: 2 of 3 records are of other user code ({before}; now {now}); `harness run … --retrain "
        "one` sets them aside and trains them again"
    ]
    Path("net/own.py").unlink()
    assert sentences(store, suite, UserCodes()) == []  # looked at elsewhere


def test_records_of_another_version_of_a_library_are_told(tmp_path: Path, store: Store) -> None:
    suite = suite_of(tmp_path, OWN.replace("net.own:net", "torchvision:resnet18"))
    one, two, _ = trials_of(suite)
    now = LIBRARIES[0].distribution
    store.save(one, with_code(record_of(one), "e" * 64, model_library="torchvision==0.1.0"))
    store.save(two, with_code(record_of(two), UserCodes().hash_of(two), model_library=now))
    assert sentences(store, suite, UserCodes()) == [
        "small/one: 1 of 2 records are of another version of torchvision (torchvision==0.1.0; now "
        f"{now}); `harness run … --retrain one` sets them aside and trains them again"
    ]


def test_other_user_code_beside_a_library_is_told_as_such(suite: Suite, tmp_path: Path, store: Store) -> None:
    text = OWN.replace("net.own:net", "torchvision:resnet18").replace("name: Adam", "name: 'net.own:make'")
    suite = suite_of(tmp_path, text)
    one, two, three = trials_of(suite)
    version, before = LIBRARIES[0].distribution, UserCodes().hash_of(one)
    for each, library in ((one, version), (two, version), (three, "torchvision==0.1.0")):
        store.save(each, with_code(record_of(each), before, model_library=library))
    Path("net/own.py").write_text("act = 2", encoding="utf-8")
    now = UserCodes().hash_of(one)
    again = "`harness run … --retrain one` sets them aside and trains them again"
    assert sentences(store, suite, UserCodes()) == [
        f"small/one: 2 of 3 records are of other user code ({str(before)[:8]}; now {str(now)[:8]}); {again}",
        "small/one: 1 of 3 records are of another version of torchvision (torchvision==0.1.0; now "
        f"{version}); {again}",
    ]
