"""Measuring before training: all ranks at once, with the trials that fit."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
import torch

from harness.runner import autotune
from harness.runner.autotune import Autotuner
from harness.runner.placement import Execution
from harness.training.barrier import Barrier
from harness.training.throughput import TimedTrial, TimedTrials
from tests.support.ranks import ALONE, ranks_of_run
from tests.support.trials import resident, small_trial

WIDTHS = [Execution(placement="spread", trials_per_device=width) for width in (1, 2, 3, 4)]
TRIAL = small_trial()
CHUNKS = 2 * autotune._ROUNDS  # training and evaluation


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every reading of the clock be one second after the one before."""
    seconds = itertools.count()
    monkeypatch.setattr(
        "harness.training.throughput.time", SimpleNamespace(perf_counter=lambda: float(next(seconds)))
    )


def limited(fits: int) -> type[TimedTrials]:
    """Return rigs for which there is memory for so many trials."""

    class Limited(TimedTrials):
        def _made(self, seed: int) -> TimedTrial:
            if seed >= fits:
                raise torch.OutOfMemoryError
            return super()._made(seed)

    return Limited


def test_no_clock_is_read_before_the_last_rank_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = ranks_of_run(2)
    late = Barrier(second, "phase/0/barrier")
    looks, read = 0, list[int]()

    def sleep(seconds: float) -> None:
        """Have the other rank come late: when this one has looked for it three times."""
        nonlocal looks
        looks += 1
        if looks % 3 == 0:
            second.set(f"{late.name}/{late.passed}/1", "[true]")
            second.add(f"{late.name}/{late.passed}/here")
            late.passed += 1

    def clock() -> float:
        read.append(late.passed)
        return float(len(read))

    monkeypatch.setattr("harness.training.barrier.time.sleep", sleep)
    monkeypatch.setattr("harness.training.throughput.time", SimpleNamespace(perf_counter=clock))
    Autotuner(first, "phase/0", WIDTHS[:1], pytest.fail).measure(TRIAL, resident(TRIAL, ALONE))
    # One barrier before the trials are made, one to tell what fits, one before each chunk.
    assert read == [number for chunk in range(CHUNKS) for number in [3 + chunk] * 2]


def test_widths_share_their_trials_and_what_does_not_fit_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autotune, "TimedTrials", limited(2))
    (run_ranks,), said, moves = ranks_of_run(1), list[str](), list[None]()
    measuring = Autotuner(run_ranks, "phase/0", WIDTHS, said.append, lambda: moves.append(None))
    measuring.measure(TRIAL, resident(TRIAL, ALONE))
    found = measuring.measured(TRIAL)
    steps, batches = 6, 1  # an epoch
    second = steps / autotune._STEPS + batches / autotune._BATCHES
    assert found == {WIDTHS[0]: second, WIDTHS[1]: second, WIDTHS[2]: None, WIDTHS[3]: None}
    assert said == [
        "suite/experiment/seed-3: not measured, as the device's memory is too small: "
        "spread, 3 trials a device; spread, 4 trials a device"
    ]
    assert len(moves) == 3 + 2 * autotune._ROUNDS  # two trials, one that did not fit, two widths


def test_nothing_is_measured_that_another_rank_has_no_memory_for(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = ranks_of_run(2)
    monkeypatch.setattr(autotune, "TimedTrials", limited(3))
    other = Barrier(second, "phase/0/barrier")

    def sleep(seconds: float) -> None:
        second.set(f"{other.name}/{other.passed}/1", "[true, true, false, false]")
        second.add(f"{other.name}/{other.passed}/here")
        other.passed += 1

    monkeypatch.setattr("harness.training.barrier.time.sleep", sleep)
    said: list[str] = []
    Autotuner(first, "phase/0", WIDTHS, said.append).measure(TRIAL, resident(TRIAL, ALONE))
    assert len(said) == 1
    assert [first.get(f"phase/0/{TRIAL.key}/{each}/0") is not None for each in WIDTHS] == [
        True,
        True,
        False,
        False,
    ]
