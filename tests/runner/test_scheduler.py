"""What all ranks do next: measure, train, end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.results.estimates import kind_of
from harness.runner.placement import Execution
from harness.runner.scheduler import Phase
from tests.support.records import SUITE, record_of
from tests.support.scheduled_run import DDP, SPREAD, Run, spread

# One experiment's trials, of one kind: the second goes on four times as long.
LONGER = SUITE.replace(
    "{model: {hidden: [16]}, training: {optimizer: {lr: 0.02}}}", "{training: {epochs: 8}}"
)


def test_each_kind_is_measured_once_and_then_trained_by_pace(tmp_path: Path) -> None:
    run = Run(tmp_path)
    measure = run.next()
    assert (measure.work, measure.executions) == ("measure", [SPREAD, DDP])
    assert [run.trials[key].experiment for key in measure.trials] == ["one", "two"]
    run.learn(measure, {SPREAD: 4.0, DDP: 1.0}, {SPREAD: 4.0, DDP: 1.0})
    train = run.next()
    assert train == Phase(work="train", trials=list(run.trials), executions=[DDP])
    assert run.next() == Phase(work="end")
    assert run.said == [
        "measuring 2 ways to execute 2 kinds of trials (--no-calibrate: none)",
        "placement: ddp, measured 2.00 times as fast as spread (6 trials, 2 ranks)",
    ]


def test_more_seeds_are_trained_when_the_first_have_called_for_them(tmp_path: Path) -> None:
    text = SUITE.partition("  two:")[0].replace(
        "seeds: 3", "seeds: {half_width_points: 1, at_least: 2, at_most: 4}"
    )
    run = Run(tmp_path, text, calibrate=False)
    first = run.next()
    assert [run.trials[key].seed for key in first.trials] == [1, 2]
    for key, accuracy in zip(first.trials, (0.7, 0.9), strict=True):
        run.request.store.save(run.trials[key], record_of(run.trials[key], accuracy))
    assert [run.trials[key].seed for key in run.next().trials] == [3, 4]
    assert run.next() == Phase(work="end")


def test_trials_that_differ_in_epochs_are_one_kind_and_weigh_by_them(tmp_path: Path) -> None:
    run = Run(tmp_path, LONGER, seeds=[1])
    measure = run.next()
    assert len(measure.trials) == 1
    run.learn(measure, {SPREAD: 1.0, DDP: 0.625})  # spread waits 8 s for the longer one; ddp takes 6.25 s
    assert run.next().executions == [DDP]
    assert "measured 1.28 times as fast as spread" in run.said[-1]


def test_paces_of_an_earlier_run_are_used_and_nothing_is_measured(tmp_path: Path) -> None:
    earlier = Run(tmp_path)
    earlier.learn(earlier.next(), {SPREAD: 4.0, DDP: 1.0}, {SPREAD: 4.0, DDP: 1.0})
    phase = Run(tmp_path).next()
    assert (phase.work, phase.executions) == ("train", [DDP])


def test_kinds_whose_paces_lack_a_candidate_are_measured_again(tmp_path: Path) -> None:
    earlier = Run(tmp_path)
    earlier.learn(earlier.next(), {SPREAD: 4.0, DDP: 1.0}, {SPREAD: 4.0})
    phase = Run(tmp_path).next()
    assert phase.work == "measure"
    assert [earlier.trials[key].experiment for key in phase.trials] == ["two"]


@pytest.mark.parametrize(
    ("asked", "execution", "reason"),
    [
        ({"calibrate": False}, SPREAD, "because 6 trials remain for 2 ranks"),
        ({"placement": "ddp"}, DDP, "as asked (6 trials, 2 ranks)"),
        ({"placement": "spread"}, SPREAD, "as asked (6 trials, 2 ranks)"),
        (
            {"placement": "spread", "engine": "eager", "trials_per_device": 3},
            Execution(placement="spread", engine="eager", trials_per_device=3),
            "as asked (6 trials, 2 ranks)",
        ),
    ],
)
def test_what_is_not_to_be_measured_follows_the_rule_whatever_is_known(
    tmp_path: Path, asked: dict[str, Any], execution: Execution, reason: str
) -> None:
    slow = {each: 100.0 if each.placement == execution.placement else 1.0 for each in (SPREAD, DDP)}
    earlier = Run(tmp_path)
    earlier.learn(earlier.next(), slow, slow)
    run = Run(tmp_path, **asked)
    assert run.next() == Phase(work="train", trials=list(run.trials), executions=[execution])
    assert run.said == [f"placement: {execution}, {reason}"]


def test_a_single_candidate_is_not_measured(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.ways = [SPREAD]
    assert run.next().work == "train"


def test_a_kind_that_could_not_be_measured_follows_the_rule_and_is_not_tried_again(tmp_path: Path) -> None:
    run = Run(tmp_path, ranks=4)
    run.speedups = {"one": 3.0, "two": 3.5}
    run.learn(run.next(), {SPREAD: None, DDP: None}, {SPREAD: 4.0, DDP: 0.01})
    phases = [run.next() for _ in range(3)]
    assert [phase.work for phase in phases] == ["train", "train", "end"]
    assert (phases[0].executions, len(phases[0].trials)) == ([SPREAD], 4)
    assert run.said[1] == "placement: spread, because 6 trials remain for 4 ranks"
    assert phases[1].executions == [DDP]


@pytest.mark.parametrize(
    ("speedups", "phases"),
    [
        ({}, [(SPREAD, 6)]),
        ({"one": 3.0}, [(SPREAD, 6)]),  # of the other nothing is known
        ({"one": 3.0, "two": 1.5}, [(SPREAD, 6)]),  # two trials side by side are as one
        ({"one": 3.0, "two": 2.5}, [(SPREAD, 4), (DDP, 2)]),
    ],
    ids=str,
)
def test_the_rule_goes_by_the_kind_to_which_ddp_does_the_least_good(
    tmp_path: Path, speedups: dict[str, float], phases: list[tuple[Execution, int]]
) -> None:
    run = Run(tmp_path, ranks=4, calibrate=False)
    run.speedups = speedups
    for execution, trials in phases:
        phase = run.next()
        assert (phase.executions, len(phase.trials)) == ([execution], trials)
    assert run.next().work == "end"


def test_no_speedup_is_estimated_where_the_trials_fill_all_ranks(tmp_path: Path) -> None:
    run = Run(tmp_path, ranks=3, calibrate=False)
    run.scheduler.speedup = lambda trial: pytest.fail("not to be asked")
    assert len(run.next().trials) == 6


def test_a_width_that_only_the_trials_left_call_for_is_not_measured_later(tmp_path: Path) -> None:
    six, seven, *usual = spread(None, 6, 7, 1, 2, 3, 4)
    run = Run(tmp_path, ranks=1)
    run.ways = [*usual, seven]
    measure = run.next()
    assert measure.executions == [*usual, seven]
    paces = {**dict.fromkeys(usual, 4.0), seven: 5.0}
    run.learn(measure, paces, paces)
    run.ways = [*usual, six]
    again = Run(tmp_path, ranks=1)
    again.ways = run.ways
    for each in (run, again):  # from memory, and from the cache
        phase = each.next()
        assert phase.work == "train"


def test_more_trials_than_before_are_measured_at_once_and_what_is_known_is_kept(tmp_path: Path) -> None:
    run = Run(tmp_path, ranks=1)
    one, two, eight = spread(None, 1, 2, 8)
    run.ways = [one, two]
    measure = run.next()
    run.learn(measure, {one: 4.0, two: 5.0}, {one: 4.0, two: 5.0})
    run.ways = [one, two, eight]
    measure = run.next()
    assert (measure.work, measure.executions) == ("measure", run.ways)
    run.learn(measure, {eight: 3.0}, {eight: 3.0})
    assert run.next().executions == [eight]
    assert set(run.scheduler.paces[kind_of(next(iter(run.trials.values())))]) == {one, two, eight}


def test_it_ends_when_nothing_is_open(tmp_path: Path) -> None:
    run = Run(tmp_path, calibrate=False)
    *done, last = run.trials.values()
    for trial in done:
        run.request.store.save(trial, record_of(trial))
    assert run.next().trials == [last.key]
    assert run.next() == Phase(work="end")
