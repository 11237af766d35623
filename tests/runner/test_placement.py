"""How trials are executed: by the rule, and by what was measured."""

from __future__ import annotations

import pytest

from harness.results.record import Placement
from harness.runner.placement import Execution, RequestedPlacement, by_pace, by_rule, makespan, widths
from tests.support.scheduled_run import SPREAD

TWO_A_DEVICE = Execution(placement="spread", trials_per_device=2)
DDP = Execution(placement="ddp")


@pytest.mark.parametrize(
    ("requested", "remaining", "ranks", "speedup", "placement", "trials", "reason"),
    [
        ("auto", 8, 4, 3.9, "spread", 8, "because 8 trials remain for 4 ranks"),
        ("auto", 9, 4, None, "spread", 9, "because 9 trials remain for 4 ranks"),
        ("auto", 9, 4, 0.9, "spread", 9, "because 9 trials remain for 4 ranks"),
        ("auto", 9, 4, 1.1, "spread", 8, "because 9 trials remain for 4 ranks"),  # then all train the last
        ("auto", 5, 1, None, "ddp", 5, "because there is one rank (5 trials)"),
        ("ddp", 9, 4, None, "ddp", 9, "as asked (9 trials, 4 ranks)"),
        ("spread", 1, 4, 3.9, "spread", 1, "as asked (1 trial, 4 ranks)"),
    ],
)
def test_the_rule_spreads_while_there_is_a_trial_for_every_rank(
    requested: RequestedPlacement,
    remaining: int,
    ranks: int,
    speedup: float | None,
    placement: Placement,
    trials: int,
    reason: str,
) -> None:
    choice = by_rule(requested, None, 1, remaining, ranks, speedup)
    assert (choice.execution, choice.trials) == (Execution(placement=placement), trials)
    assert choice.reason == f"placement: {placement}, {reason}"


UNKNOWN = "and it is not known whether ddp is faster"
ESTIMATED = "and ddp is estimated to train one at least {} times as fast as a rank alone"


@pytest.mark.parametrize(
    ("remaining", "speedup", "placement", "reason"),
    [
        (3, None, "spread", f"3 trials are fewer than 4 ranks, {UNKNOWN}"),
        (1, None, "spread", f"1 trial is fewer than 4 ranks, {UNKNOWN}"),
        (3, 3.0, "spread", f"3 trials are fewer than 4 ranks, {ESTIMATED.format('3.00')}"),
        (3, 3.2, "ddp", f"3 trials are fewer than 4 ranks, {ESTIMATED.format('3.20')}"),
        (2, 1.9, "spread", f"2 trials are fewer than 4 ranks, {ESTIMATED.format('1.90')}"),
        (1, 0.8, "spread", f"1 trial is fewer than 4 ranks, {ESTIMATED.format('0.80')}"),
        (1, 1.2, "ddp", f"1 trial is fewer than 4 ranks, {ESTIMATED.format('1.20')}"),
    ],
)
def test_trials_that_fill_no_rank_are_trained_one_by_one_only_where_that_is_estimated_to_pay(
    remaining: int, speedup: float | None, placement: Placement, reason: str
) -> None:
    choice = by_rule("auto", None, 1, remaining, 4, speedup)
    assert (choice.execution, choice.trials) == (Execution(placement=placement), remaining)
    assert choice.reason == f"placement: {placement}, because {reason}"


@pytest.mark.parametrize(
    ("trials", "ranks", "expected"),
    [
        (1, 1, [1]),
        (3, 1, [1, 2, 3]),
        (7, 1, [1, 2, 3, 4, 7]),
        (100, 1, [1, 2, 3, 4, 8, 16]),
        (5, 4, [1, 2]),
        (20, 4, [1, 2, 3, 4, 5]),
        (2, 4, [1]),
    ],
)
def test_no_gpu_is_tried_with_more_trials_than_its_share(
    trials: int, ranks: int, expected: list[int]
) -> None:
    assert widths(trials, ranks) == expected


@pytest.mark.parametrize(
    ("requested", "at_once", "reason"),
    [
        ("auto", 3, "placement: spread, eager, 3 trials a device, because 3 trials a device were asked for"),
        ("spread", 3, "placement: spread, eager, 3 trials a device, as asked (2 trials, 4 ranks)"),
        ("ddp", 1, "placement: ddp, eager, as asked (2 trials, 4 ranks)"),
    ],
)
def test_the_rule_keeps_to_the_engine_and_the_trials_a_device_that_were_asked_for(
    requested: RequestedPlacement, at_once: int, reason: str
) -> None:
    choice = by_rule(requested, "eager", 3, remaining=2, ranks=4)
    assert (choice.execution.engine, choice.execution.trials_per_device) == ("eager", at_once)
    assert (choice.trials, choice.reason) == (2, reason)


@pytest.mark.parametrize(
    ("seconds", "slots", "end"),
    [
        ([], 3, 0),
        ([5, 4, 3], 1, 12),
        ([5, 4, 3], 4, 5),
        ([5, 4, 3, 3, 3], 2, 10),  # 5 3 and 4 3, then the last 3 after the 4 and the 3
        ([7, 6, 5, 4, 3, 2], 3, 9),  # 7 2, 6 3, 5 4
        ([1, 1, 1, 9], 2, 10),  # the order is kept, not sorted
    ],
)
def test_each_trial_starts_in_the_slot_that_is_free_first(
    seconds: list[float], slots: int, end: float
) -> None:
    assert makespan(seconds, slots) == end


def test_spread_wins_where_there_are_enough_trials() -> None:
    choice = by_pace({DDP: [0.5] * 8, SPREAD: [1.0] * 8}, ranks=4)
    assert (choice.execution, choice.trials) == (SPREAD, 8)
    assert choice.reason == "placement: spread, measured 2.00 times as fast as ddp (8 trials, 4 ranks)"


def test_ddp_wins_where_it_is_nearly_linear_and_trials_are_fewer_than_ranks() -> None:
    choice = by_pace({SPREAD: [1.0] * 3, DDP: [0.25] * 3}, ranks=4)
    assert (choice.execution, choice.trials) == (DDP, 3)
    assert choice.reason == "placement: ddp, measured 1.33 times as fast as spread (3 trials, 4 ranks)"


def test_what_fills_no_rank_is_trained_by_all_ranks_after_the_others() -> None:
    first = by_pace({SPREAD: [1.0] * 5, DDP: [0.3] * 5}, ranks=4)
    assert (first.execution, first.trials) == (SPREAD, 4)  # 1.3 s; all spread 2 s, all ddp 1.5 s
    assert first.reason == "placement: spread, measured 1.15 times as fast as ddp (5 trials, 4 ranks)"
    last = by_pace({SPREAD: [1.0], DDP: [0.3]}, ranks=4)
    assert (last.execution, last.trials) == (DDP, 1)
    assert last.reason == "placement: ddp, measured 3.33 times as fast as spread (1 trial, 4 ranks)"


def test_several_trials_a_device_fill_as_many_slots() -> None:
    choice = by_pace({SPREAD: [1.0] * 8, TWO_A_DEVICE: [1.25] * 8, DDP: [0.75] * 8}, ranks=2)
    assert (choice.execution, choice.trials) == (TWO_A_DEVICE, 8)  # 2.5 s; one a device 4 s
    reason = "spread, 2 trials a device, measured 1.60 times as fast as spread (8 trials, 2 ranks)"
    assert choice.reason == f"placement: {reason}"


def test_trials_are_not_split_where_that_ends_no_sooner() -> None:
    choice = by_pace({SPREAD: [1.0] * 5, DDP: [1.0] * 5}, ranks=4)
    assert (choice.execution, choice.trials) == (SPREAD, 5)


def test_unequal_trials_are_weighed_one_by_one() -> None:
    choice = by_pace({SPREAD: [8.0, 1.0, 1.0], DDP: [4.0, 0.75, 0.75]}, ranks=2)
    assert (choice.execution, choice.trials) == (DDP, 3)  # 5.5 s; spread waits 8 s for the first


def test_a_single_candidate_is_compared_with_nothing() -> None:
    choice = by_pace({Execution(placement="spread", engine="graph"): [1.0] * 3}, ranks=1)
    assert choice.reason == "placement: spread, graph (3 trials, 1 rank)"


def test_the_order_of_the_candidates_does_not_matter() -> None:
    paces = {TWO_A_DEVICE: [2.0] * 6, DDP: [0.5] * 6, SPREAD: [1.0] * 6}  # each could end after 3 s
    assert by_pace(paces, ranks=2) == by_pace(dict(reversed(paces.items())), ranks=2)
