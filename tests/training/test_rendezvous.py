"""The number of a start: the same for all ranks, a new one for each start, once all have answered."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from torch import distributed as dist

from harness.errors import LostRankError
from harness.training import rendezvous
from harness.training.key_value_store import KeyValueStore


@pytest.fixture
def run() -> KeyValueStore:
    return KeyValueStore(dist.HashStore())  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _polls_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous, "_POLL_SECONDS", 0)


def started(run: KeyValueStore, *order: int) -> set[str]:
    """Start ranks in this order, each in a thread; return the numbers that they found."""
    with ThreadPoolExecutor(len(order)) as threads:
        found = [threads.submit(rendezvous.start_number, run, rank, len(order), 60) for rank in order]
        return {each.result() for each in found}


def given_up(run: KeyValueStore, rank: int, world_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a rank poll a few times alone and give up."""
    clock = SimpleNamespace(monotonic=itertools.count().__next__, sleep=lambda seconds: None)
    with monkeypatch.context() as patch:
        patch.setattr(rendezvous, "time", clock)
        with pytest.raises(LostRankError, match=f"not all {world_size} ranks came within 5 s"):
            rendezvous.start_number(run, rank, world_size, 5)


def test_each_start_has_a_number_whichever_rank_comes_first(run: KeyValueStore) -> None:
    assert [started(run, *order) for order in ([0, 1, 2], [2, 1, 0], [1, 0])] == [{"1"}, {"2"}, {"3"}]


def test_an_answer_to_a_start_that_failed_does_not_count(
    run: KeyValueStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up(run, 0, 2, monkeypatch)
    given_up(run, 1, 2, monkeypatch)  # answers that call
    given_up(run, 0, 2, monkeypatch)
    assert started(run, 1, 0) == {"1"}


@dataclass(frozen=True)
class Counting(KeyValueStore):
    """A store that lists the keys that it is asked for."""

    asked: list[str] = field(default_factory=list)

    def get(self, key: str) -> str | None:
        self.asked.append(key)
        return super().get(key)

    def add(self, key: str, amount: int = 1) -> int:
        self.asked.append(key)
        return super().add(key, amount)


@pytest.mark.parametrize("world_size", [3, 32])
def test_waiting_for_the_last_rank_costs_the_same_however_many_have_answered(
    run: KeyValueStore, monkeypatch: pytest.MonkeyPatch, world_size: int
) -> None:
    store = Counting(run.store)
    asked: list[int] = []

    def sleep(seconds: float) -> None:
        if not asked:
            for rank in range(1, world_size - 1):
                given_up(run, rank, world_size, monkeypatch)
        asked.append(len(store.asked))

    clock = SimpleNamespace(monotonic=itertools.count().__next__, sleep=sleep)
    monkeypatch.setattr(rendezvous, "time", clock)
    with pytest.raises(LostRankError):
        rendezvous.start_number(store, 0, world_size, 3)
    assert asked[-1] - asked[0] == 3, store.asked
