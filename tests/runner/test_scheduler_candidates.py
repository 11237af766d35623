"""Which ways to execute trials are measured, by device, ranks, trials and options."""

from __future__ import annotations

import pytest

from harness.runner.placement import Execution
from harness.runner.request import Request
from harness.runner.scheduler import candidates
from tests.support.scheduled_run import DDP, SPREAD, spread


def test_a_cpu_has_one_trial_a_rank_or_all_ranks_on_one() -> None:
    assert candidates(Request([]), 1, 9, is_gpu=False) == [SPREAD]
    assert candidates(Request([]), 2, 9, is_gpu=False) == [SPREAD, DDP]


def test_a_gpu_may_take_several_trials_or_execute_eagerly() -> None:
    eager = spread("eager", 1)
    assert candidates(Request([]), 1, 40, is_gpu=True) == [*spread(None, 1, 2, 3, 4, 8, 16), *eager]
    assert candidates(Request([]), 1, 6, is_gpu=True) == [*spread(None, 1, 2, 3, 4, 6), *eager]
    assert candidates(Request([]), 4, 18, is_gpu=True) == [*spread(None, 1, 2, 3, 4, 5), *eager, DDP]
    assert candidates(Request([]), 4, 3, is_gpu=True) == [*spread(None, 1), *eager, DDP]


def test_an_engine_that_was_asked_for_is_the_only_one() -> None:
    together = Execution(placement="ddp", engine="eager")
    found = candidates(Request([], engine="eager"), 4, 16, is_gpu=True)
    assert found == [*spread("eager", 1, 2, 3, 4), together]


@pytest.mark.parametrize("is_gpu", [False, True], ids=["cpu", "gpu"])
def test_trials_a_device_that_were_asked_for_are_the_only_ones(is_gpu: bool) -> None:
    found = candidates(Request([], trials_per_device=3), 4, 2, is_gpu=is_gpu)
    assert {each.trials_per_device for each in found if each.placement == "spread"} == {3}
