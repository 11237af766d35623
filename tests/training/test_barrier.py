"""The barrier: nobody goes on before all are there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.training.barrier import Barrier
from tests.support.ranks import ranks_of_run


def while_waiting(monkeypatch: pytest.MonkeyPatch, others: list[Callable[[], None]]) -> list[float]:
    """Have others do one thing after the other whenever a rank waits; return the waits."""
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        others.pop(0)()

    monkeypatch.setattr("harness.training.barrier.time.sleep", sleep)
    return waits


def test_a_rank_waits_for_those_that_come_late_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = (Barrier(run_ranks, "here") for run_ranks in ranks_of_run(3))
    late = [lambda: None, lambda: arrive(second), lambda: None, lambda: arrive(third)]
    waits = while_waiting(monkeypatch, late * 2)
    first.wait()
    assert len(waits) == 4
    first.wait()
    assert len(waits) == 8


def arrive(other: Barrier) -> None:
    """Have another rank, which shares this thread and cannot wait, come to its barrier."""
    other.run_ranks.add(f"{other.name}/{other.passed}/here")
    other.passed += 1


def test_all_values_are_there_when_all_have_come(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (Barrier(run_ranks, "here") for run_ranks in ranks_of_run(2))

    def tell() -> None:
        second.run_ranks.set(f"here/{second.passed}/1", '["b", null]')
        arrive(second)

    while_waiting(monkeypatch, [lambda: None, tell])
    assert first.gather(["a", float("inf")]) == [["a", float("inf")], ["b", None]]


def test_a_rank_by_itself_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    (run_ranks,) = ranks_of_run(1)
    while_waiting(monkeypatch, [])
    assert Barrier(run_ranks, "here").gather(None) == [None]
