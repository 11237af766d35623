"""How many seeds the results require: Stein's two stages, decided by results alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.config.suite import Suite
from harness.report.aggregate import SuiteResults
from harness.results.estimates import plan, plan_text
from harness.results.seed_rule import Decision, called_for, decide
from harness.results.store import Store
from harness.runner.launch import launcher
from harness.runner.request import Request
from harness.stats import stein_size
from tests.support.records import SUITE, diverged_of, failed_of, record_of, suite_of

ONE = SUITE.partition("  two:")[0]
ADAPTIVE = ONE.replace("seeds: 3", "seeds: {half_width_points: 1, at_least: 3, at_most: 20}")
NEAR = {1: 0.801, 2: 0.803, 3: 0.802}
FAR = {1: 0.80, 2: 0.81, 3: 0.805}  # s = 0.005: (4.303 * 0.5 / 1)² = 4.6


def saved(folder: Path, values: Mapping[int, float | str], text: str = ADAPTIVE) -> tuple[Store, Suite]:
    """Leave a record for each of these seeds: of an accuracy, or of how it ended."""
    store, suite = Store(folder / "results"), suite_of(folder, text)
    store.save_suite(suite)
    for trial in suite.trials():
        value = values.get(trial.seed)
        if isinstance(value, float):
            store.save(trial, record_of(trial, value))
        elif value is not None:
            store.save(trial, {"failed": failed_of, "diverged": diverged_of}[value](trial))
    return store, suite


def decision(store: Store, suite: Suite) -> Decision:
    return decide(store, suite, list(suite.trials()))


def test_the_first_seeds_decide_once(tmp_path: Path) -> None:
    assert decision(*saved(tmp_path, FAR)) == Decision(5, deciding=3, needed=5)
    more = {4: 0.9, 5: 0.7}  # whatever they come to: no second look
    assert decision(*saved(tmp_path / "more", FAR | more)) == Decision(5, deciding=3, needed=5)


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path) -> None:
    for name in ("more", "other"):
        (tmp_path / name).mkdir()


def test_the_number_is_steins() -> None:
    assert stein_size(list(FAR.values()), 0.01) == 5
    assert stein_size(list(NEAR.values()), 0.01) == 3


def test_nothing_is_decided_before_all_first_seeds_have_ended(tmp_path: Path) -> None:
    for count, name in enumerate((".", "more", "other")):
        some = {seed: FAR[seed] for seed in list(FAR)[:count]}
        assert decision(*saved(tmp_path / name, some)) == Decision(3)


def test_a_failed_seed_leaves_it_open_and_a_diverged_one_counts_as_a_result(tmp_path: Path) -> None:
    assert decision(*saved(tmp_path, FAR | {2: "failed"})) == Decision(3)
    found = decision(*saved(tmp_path / "more", {1: 0.80, 2: "diverged", 3: 0.81}))
    assert found.deciding == 2  # t(1) is large
    assert found.seeds == 20 < (found.needed or 0)
    assert decision(*saved(tmp_path / "other", {1: "diverged", 2: "diverged", 3: 0.81})) == Decision(3)


def test_the_cap_holds(tmp_path: Path) -> None:
    far = {1: 0.7, 2: 0.8, 3: 0.9}
    assert decision(*saved(tmp_path, far)) == Decision(20, deciding=3, needed=1852)


def test_each_experiment_has_seeds_of_its_own_and_other_suites_keep_theirs(tmp_path: Path) -> None:
    text = SUITE.replace("seeds: 3", "seeds: {half_width_points: 1, at_least: 3, at_most: 20}")
    store, suite = saved(tmp_path, FAR, text)
    for trial in suite.trials():
        if trial.experiment == "two":
            store.record_path(trial).unlink(missing_ok=True)
    fixed = suite_of(tmp_path, SUITE.replace("suite: small", "suite: fixed"))
    called = called_for(store, [suite, fixed], [*suite.trials(), *fixed.trials()])
    names = [(each.folder, each.experiment) for each in called]
    counts = {name: names.count(name) for name in dict.fromkeys(names)}
    assert counts == {
        ("small", "one"): 5,
        ("small", "two"): 3,
        ("fixed", "one"): 3,
        ("fixed", "two"): 3,
    }


def test_the_report_takes_the_spread_of_the_first_seeds(tmp_path: Path) -> None:
    store, suite = saved(tmp_path, FAR | {4: 0.9, 5: 0.7})
    (row,) = SuiteResults.of(store, suite.folder).rows
    summary = row.test_accuracy
    assert summary is not None
    assert (summary.n, summary.df) == (5, 2)
    assert summary.spread == pytest.approx(0.005)
    assert summary.std == pytest.approx(0.0709, abs=1e-3)
    assert [each.seed for each in row.entries] == [1, 2, 3, 4, 5]


def test_the_plan_shows_what_is_called_for_and_that_more_may_follow(tmp_path: Path) -> None:
    store, suite = saved(tmp_path, {1: 0.8})
    text = plan_text(suite, plan(store, suite))
    assert [line.split()[:3] for line in text.splitlines()[2:5]] == [
        ["one", "seed", str(seed)] for seed in (1, 2, 3)
    ]
    assert text.endswith("results may require more seeds, up to 20 per experiment")
    store, suite = saved(tmp_path / "more", FAR)
    text = plan_text(suite, plan(store, suite))
    assert "2 of 5 trials left" in text
    assert "may require more" not in text  # it is decided once


def test_a_run_says_that_seeds_which_it_is_asked_for_are_not_called_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, suite = saved(tmp_path, NEAR)
    for seeds, said in (([1, 2], ""), ([1, 7, 8], "do not require 2 of the trials that it names\n")):
        assert launcher.run(Request([suite], seeds=seeds, results=store.root), 1, [], {}) == 0
        told = capsys.readouterr().err
        assert told.endswith(said)
        assert bool(told) == bool(said)


def test_records_of_seeds_that_are_not_called_for_are_not_stale(tmp_path: Path) -> None:
    store, suite = saved(tmp_path, NEAR | {7: 0.8})
    assert store.stale(suite) == []
    assert len(SuiteResults.of(store, suite.folder).rows[0].entries) == 3
