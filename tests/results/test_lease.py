"""Claims: one taker wins, the dead are found out, and a holder that was thought dead saves nothing."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest

from harness.config.suite import Trial
from harness.errors import LostLeaseError, StoreError
from harness.results.atomic_files import write_whole
from harness.results.lease import Leases
from harness.results.lease_owner import this_process
from harness.results.store import Store
from tests.support.clock import Clock
from tests.support.records import suite_of


def test_one_has_a_trial_until_it_gives_it_up(runs: Any, trial: Trial, store: Store) -> None:
    one, two = runs("one"), runs("two")
    lease = one.take(trial)
    assert lease is not None
    assert one.take(trial) is None
    assert two.take(trial) is None
    assert two.owner(trial).process == os.getpid()
    one.check(trial, lease)
    one.release(trial, lease)
    assert two.owner(trial) is None
    assert two.take(trial) is not None
    assert [path.suffix for path in store.root.glob("*/*/*")] == [".claim-1"]


def test_a_lease_waits_for_no_disk(trial: Trial, runs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is of use only while its owner lives, and every trial would wait."""
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    one = runs("one")
    one.release(trial, one.take(trial))
    assert not synced


def _race(root: str, trial: Trial, barrier: Any, winners: Any) -> None:
    leases = Leases(Store(Path(root)), this_process(str(os.getpid()), [0, 0], {}))
    barrier.wait()
    if leases.take(trial):
        winners.append(os.getpid())
    barrier.wait()  # a winner that has ended would be dead
    leases.stop()


def test_of_several_that_take_at_the_same_instant_one_wins(store: Store, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    with multiprocessing.Manager() as manager:
        for trial in suite_of(tmp_path).trials():
            winners, barrier = manager.list(), context.Barrier(4)
            arguments = str(store.root), trial, barrier, winners
            processes = [context.Process(target=_race, args=arguments) for _ in range(4)]
            for process in processes:
                process.start()
            for process in processes:
                process.join(60)
                process.kill()
            assert len(winners) == 1


def test_a_claim_whose_count_stands_still_is_taken_over_once(runs: Any, trial: Trial, clock: Clock) -> None:
    elsewhere = {"machine": "another", "host": "n1"}
    dead, two, three = runs("dead", **elsewhere), runs("two"), runs("three")
    lost = dead.take(trial)
    assert two.take(trial) is three.take(trial) is None  # both have seen it now
    clock.seconds = 59.0
    assert two.take(trial) is None
    clock.seconds = 61.0
    lease = two.take(trial)
    assert lease is not None
    assert lease.generation == 2
    assert lease.before is not None
    assert lease.before.host == "n1"
    assert three.take(trial) is None
    with pytest.raises(
        LostLeaseError, match=r"taken over by process \d+ on .*, which found no heartbeat of this run"
    ):
        dead.check(trial, lost)
    dead.release(trial, lost)
    two.check(trial, lease)  # it has not been given up for it
    two.release(trial, lease)
    assert not list(two.store.root.glob("*/*/*.claim-*"))


def test_a_claim_whose_count_moves_is_never_taken_over(
    runs: Any, trial: Trial, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, two = runs("one", machine="another"), runs("two")
    lease = elsewhere.take(trial)
    path = two.store.lease_path(trial, 1)
    head = path.read_bytes().partition(b"\n")[0]
    for beats in range(5):
        clock.seconds += 50.0
        path.write_bytes(head + b"\n%020d\n" % beats)
        assert two.take(trial) is None
    elsewhere.check(trial, lease)


@pytest.mark.parametrize("content", [b"cut", b""])
def test_what_is_no_claim_is_taken_over_when_it_stands_still(
    content: bytes, runs: Any, trial: Trial, store: Store, clock: Clock
) -> None:
    write_whole(store.lease_path(trial, 1), content)
    one = runs("one")
    assert one.owner(trial) is not None
    assert one.take(trial) is None
    clock.seconds = 61.0
    assert one.take(trial) is not None


def test_a_lease_that_is_gone_is_lost(runs: Any, trial: Trial, store: Store) -> None:
    one = runs("one")
    lease = one.take(trial)
    store.lease_path(trial, 1).unlink()  # another run has taken it over and given it up since
    with pytest.raises(LostLeaseError, match="taken over by another run"):
        one.check(trial, lease)
    store.lease_path(trial, 1).parent.rmdir()
    with pytest.raises(StoreError, match="lease is gone; was the folder removed meanwhile"):
        one.check(trial, lease)


def test_giving_up_what_was_taken_over_twice_never_seems_free(runs: Any, trial: Trial, store: Store) -> None:
    dead = [runs(name, started=name).take(trial) for name in ("one", "two")]
    leases = [*dead, runs("three").take(trial)]  # each has found the one before dead
    assert [lease.generation for lease in leases] == [1, 2, 3]
    store.lease_path(trial, 3).unlink()  # in the midst of giving up
    assert runs("four").take(trial) is None
    store.lease_path(trial, 2).unlink()
    assert runs("five").take(trial) is None
    store.lease_path(trial, 1).unlink()
    assert runs("six").take(trial).generation == 1


def test_a_rank_takes_what_another_has_found_dead(runs: Any, trial: Trial, clock: Clock) -> None:
    lost, speaker, rank = runs("dead", machine="another"), runs("run"), runs("run")
    lost.take(trial)
    assert speaker.owner(trial) is not None
    clock.seconds = 61.0
    assert speaker.owner(trial) is None
    assert rank.take(trial) is None  # it has only just seen it
    assert rank.take(trial, speaker.dead(trial)) is not None


def test_any_rank_of_a_run_knows_its_claims(runs: Any, trial: Trial) -> None:
    lease = runs("one").take(trial)
    assert runs("one").ours(trial) == lease
    assert runs("one", (1, 0)).ours(trial) is None
    assert runs("two").ours(trial) is None
