"""What `harness bench` measures beside speed: held memory, and the rate of matrix products."""

from __future__ import annotations

import contextlib
import itertools
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.config.settings import PrecisionName
from harness.results.record import EngineName
from harness.runner.bench import meter
from harness.runner.bench.meter import Meter, matrix_rate
from harness.training.dataloader import Share
from harness.training.distributed import ProcessGroup
from harness.training.throughput import TimedTrial, TimedTrials, grow
from tests.support.ranks import ALONE
from tests.support.trials import MLP, resident, small_trial


def test_held_bytes_follow_what_is_made_and_freed() -> None:
    there = torch.zeros(1000)
    with meter._Held() as held:
        seen = [held.now]

        def see() -> None:
            seen.append(held.now)

        first = torch.ones(256)
        see()
        view = first.view(16, 16).t()
        there.add_(1)
        part = there[:10]
        see()
        second = view + 1
        see()
        del first
        see()
        del view
        see()
        third = torch.zeros(100, dtype=torch.float64)
        see()
        del second, third, part
    assert [*seen, held.now] == [0, 1024, 1024, 2048, 2048, 1024, 1824, 0]
    assert held.most == 2048


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_matrix_rate_is_of_the_median_product_after_the_first_two(
    precision: PrecisionName, monkeypatch: pytest.MonkeyPatch
) -> None:
    took = [50.0, 60.0, 1.0, 4.0, 0.5, 2.0, 3.0]
    times = itertools.accumulate(itertools.chain([0.0], *((each, 0.25) for each in took)))
    monkeypatch.setitem(meter._MATRIX_SIDE, "cpu", 16)
    monkeypatch.setattr("harness.runner.bench.meter.time", SimpleNamespace(perf_counter=lambda: next(times)))
    assert matrix_rate(ALONE.device, precision, threads=1) == 2 * 16**3 / 2.0


def meter_of(**training: Any) -> Meter:
    trial = small_trial(MLP, precision="fp32", **training)
    meter = Meter(trial, resident(trial, ALONE), ALONE, "eager")
    assert meter.add()
    return meter


def test_peak_memory_counts_what_the_optimizer_keeps() -> None:
    parameters = 64 * 20 + 20 * 12 + 12 * 10 + 20 + 12 + 10 + 2 * (20 + 12)
    plain, adam = (
        meter_of(optimizer=optimizer).peak_memory_gib(1) * 2**30
        for optimizer in ({"name": "SGD", "lr": 0.01}, {"name": "Adam", "lr": 0.01})
    )
    assert adam - plain >= 2 * 4 * parameters


class Allocator:
    """Reserves memory as torch's does: what is freed stays reserved until the cache is emptied."""

    held = reserved = most = 0

    def take(self, kept: int, for_a_while: int) -> None:
        self.reserved = max(self.reserved, self.held + kept + for_a_while)
        self.held += kept
        self.most = max(self.most, self.reserved)

    def empty(self) -> None:
        self.reserved = self.held

    def reset(self) -> None:
        self.most = self.reserved


@pytest.mark.parametrize("engine", ["eager", "graph"])
def test_memory_of_a_gpu_is_what_its_allocator_reserves_at_most_whichever_engine(
    engine: EngineName, monkeypatch: pytest.MonkeyPatch
) -> None:
    allocator = Allocator()

    def make(group: TimedTrials, seed: int) -> TimedTrial:
        allocator.take(kept=50, for_a_while=200)
        prepared: Any = SimpleNamespace(engine=SimpleNamespace(name=engine, train=lambda share: None))
        share = Share.of(torch.arange(3), 0, 3)
        return TimedTrial(prepared, itertools.repeat(share), share, contextlib.nullcontext())

    monkeypatch.setattr(TimedTrials, "_made", make)
    monkeypatch.setattr("torch.cuda.empty_cache", allocator.empty)
    monkeypatch.setattr("torch.cuda.memory_reserved", lambda device: allocator.reserved)
    monkeypatch.setattr("torch.cuda.max_memory_reserved", lambda device: allocator.most)
    monkeypatch.setattr("torch.cuda.reset_peak_memory_stats", lambda device: allocator.reset())
    allocator.take(kept=700, for_a_while=200)  # the dataset and another rig
    trial = small_trial(MLP)
    meter = Meter(trial, resident(trial, ALONE), ProcessGroup(0, 1, torch.device("cuda", 0)), engine, 4)
    grow([meter])
    assert [meter.peak_memory_gib(width) * 2**30 for width in (1, 2, 4)] == [250, 500, 1000]
