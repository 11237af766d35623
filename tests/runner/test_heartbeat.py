"""Tests of a rank's restart in place, and of what its heartbeat costs."""

from __future__ import annotations

import os
import threading
from collections import Counter

import pytest

from benchmarks.store_operations import Counting, heartbeat_of
from harness.errors import LostRankError
from harness.runner import heartbeat


def test_files_stay_open_until_exec_closes_them() -> None:
    # gloo's thread waits on its own files until then: closed earlier, it ended the process now and then.
    read, write = os.pipe()
    for file in (read, write):
        os.set_inheritable(file, True)
    heartbeat._close_files_at_exec()
    os.write(write, b"open")
    assert os.read(read, 4) == b"open"
    assert not os.get_inheritable(read)
    assert not os.get_inheritable(write)
    assert os.get_inheritable(1) or os.get_inheritable(2)
    os.close(read)
    os.close(write)


def operations(ranks: int) -> list[Counter[str]]:
    """Count what rank 0 asks the store for in a heartbeat, to tell who is silent, and while it waits."""
    values: dict[str, bytes] = {}
    stores = [Counting(values, threading.Lock()) for _ in range(ranks)]
    hearts = [heartbeat_of(store, rank, ranks) for rank, store in enumerate(stores)]
    for heart in hearts:
        heart._stopped.set()
        heart._thread.join()
        heart.begin(f"trial-{heart.run_ranks.rank}", 10, print, together=False).move()
        heart._beat()
    found = []
    for act in (hearts[0]._beat, hearts[0].silent, lambda: hearts[0].wait(iter((False, True)).__next__)):
        stores[0].operations.clear()
        act()
        found.append(Counter(stores[0].operations))
    return found


@pytest.mark.e2e
def test_its_operations_on_the_store_do_not_grow_with_the_number_of_ranks() -> None:
    assert operations(2) == operations(40)


def test_a_rank_without_a_heartbeat_is_given_up_by_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_LOOK_SECONDS", 0.01)
    values: dict[str, bytes] = {}
    hearts = [heartbeat_of(Counting(values, threading.Lock()), rank, 3, 0.5) for rank in range(3)]
    hearts[2].begin("lost", 10, print, together=False)
    hearts[2]._beat()
    hearts[2]._stopped.set()
    hearts[2]._thread.join()
    with pytest.raises(LostRankError, match="rank 2 sent no heartbeat") as lost:
        hearts[0].wait(lambda: False)
    assert lost.value.trials == {"lost": "rank 2 sent no heartbeat for 0 s (--timeout)"}
    for heart in hearts:
        heart.stop()


def test_a_rank_that_restarts_leaves_no_progress_to_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Counting({}, threading.Lock())
    heart = heartbeat_of(store, 0, 1)
    heart.begin("failed", 10, print, together=True).move()
    heart._beat()
    assert heart._fractions() == [{"failed": 0.1}]
    for name in ("HARNESS_GENERATION", "HARNESS_START", "HARNESS_FOLDER"):
        monkeypatch.setenv(name, "0" if name != "HARNESS_FOLDER" else os.getcwd())
    monkeypatch.setattr(heartbeat, "_close_files_at_exec", lambda: None)
    monkeypatch.setattr("os.execv", lambda *_: None)
    heart.restart_together()
    assert heart._fractions() == [{}]
