"""What is left, how it is placed, how long it should take."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.formatting import duration
from harness.results import estimates
from harness.results.atomic_files import write_whole
from harness.results.record import Record
from harness.results.store import Store
from tests.support.golden import assert_golden
from tests.support.records import SUITE, diverged_of, failed_of, record_of, suite_of


def test_plan_and_status_texts(tmp_path: Path) -> None:
    suite, store = suite_of(tmp_path), Store(tmp_path / "results")
    one, two, three, four, *_ = suite.trials()
    store.save(one, record_of(one))
    store.save(two, failed_of(two))
    store.save(three, diverged_of(three))
    write_whole(store.record_path(four), b"{")
    write_whole(store.record_path(one).with_name("seed-1-00000000.json"), b"{}")
    text = estimates.plan_text(suite, estimates.plan(store, suite))
    status = estimates.status(store, suite)
    assert status.is_troubled
    shown = f"{text}\n\n{estimates.status_text([status])}\n".replace(str(tmp_path), "FOLDER")
    assert_golden("plan.txt", shown)


def test_a_plan_of_nothing_done_says_that_nothing_tells(tmp_path: Path) -> None:
    suite = suite_of(tmp_path)
    text = estimates.plan_text(suite, estimates.plan(Store(tmp_path), suite))
    assert text.endswith("6 of 6 trials left; no timing is known yet")


def test_an_estimate_is_the_median_epoch_without_the_first_times_the_epochs(tmp_path: Path) -> None:
    suite, store = suite_of(tmp_path), Store(tmp_path / "results")
    first = next(suite.trials())
    record = record_of(first)
    slow_start = [record.epochs[0].model_copy(update={"train_seconds": 60.0}), *record.epochs[1:]]
    store.save(first, record.model_copy(update={"epochs": slow_start}))
    longer = suite_of(tmp_path, SUITE.replace("epochs: 2", "epochs: 10"))
    planned = estimates.plan(store, longer)
    assert [each.seconds for each in planned] == [25.0] * 3 + [None] * 3


def test_the_longest_goes_first(tmp_path: Path) -> None:
    suite, store = suite_of(tmp_path), Store(tmp_path / "results")
    trials = list(suite.trials())
    for trial, seconds in ((trials[0], 1.0), (trials[3], 5.0)):
        epochs = [each.model_copy(update={"train_seconds": seconds}) for each in record_of(trial).epochs]
        store.save(trial, record_of(trial, epochs=epochs))
    ordered = [trial.name for trial in estimates.longest_first(store, trials)]
    assert ordered[0] == "two seed 1"
    assert ordered[-1] == "one seed 3"


@pytest.mark.parametrize(
    ("seconds", "epochs", "order"),
    [
        ([10.0, 30.0, 20.0], [1, 1, 1], [1, 2, 0]),
        ([10.0, 10.0, 20.0], [5, 9, 1], [2, 0, 1]),  # equal ones as given
        ([None, None, None], [10, 50, 20], [1, 2, 0]),  # nothing is known but the epochs
        (
            [50.0, None, 60.0, None],
            [10, 10, 30, 11],
            [2, 3, 0, 1],
        ),  # unknown ones at 5 s an epoch: 50 s, 55 s
        ([], [], []),
    ],
)
def test_the_unknown_count_as_slow_as_the_slowest_known(
    seconds: list[float | None], epochs: list[int], order: list[int]
) -> None:
    assert estimates.starting_order(seconds, epochs) == order


def test_what_is_measured_needs_no_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite, store = suite_of(tmp_path), Store(tmp_path / "results")
    trials = list(suite.trials())
    store.save(trials[0], record_of(trials[0]))
    monkeypatch.setattr(Record, "from_json", None)  # not called
    paces = {estimates.kind_of(trials[0]): 1.0, estimates.kind_of(trials[3]): 2.0}
    assert estimates.longest_first(store, trials, paces) == [*trials[3:], *trials[:3]]


def test_records_of_all_suites_tell_how_long_and_broken_ones_do_not(tmp_path: Path) -> None:
    suite, store = suite_of(tmp_path), Store(tmp_path / "results")
    other = suite_of(tmp_path, SUITE.replace("suite: small", "suite: other"))
    first, *_, last = other.trials()
    store.save(first, record_of(first))
    write_whole(store.record_path(last), b"{")
    assert [each.seconds for each in estimates.plan(store, suite)] == [5.0] * 3 + [None] * 3


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (200, "3 min 20 s"), (3599.6, "1 h 00 min"), (3720, "1 h 02 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
