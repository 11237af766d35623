"""Claims: one taker wins, the dead are found out, and a holder that was thought dead saves nothing."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from harness.config.suite import Trial
from harness.errors import LostLeaseError, StoreError
from harness.results.atomic_files import write_whole
from harness.results.lease import Leases, read
from harness.results.lease_owner import NOBODY, LeaseOwner, this_process
from harness.results.lease_progress import LeaseProgress
from harness.results.store import Store
from tests.support import ROOT
from tests.support.records import suite_of


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return next(suite_of(tmp_path).trials())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def runs(store: Store, clock: Clock) -> Iterator[Any]:
    """Make the claims of a run, by its name; its heart beats only when the test says so."""
    with ExitStack() as ended:

        def make(run: str, start: tuple[int, int] = (0, 0), **changes: Any) -> Leases:
            me = this_process(run, list(start), {}).model_copy(update=changes)
            leases = Leases(store, me, now=clock)
            ended.callback(leases.stop)
            return leases

        yield make


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
        LostLeaseError, match=r"taken over by process \d+ on .*, to which this run seemed dead"
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


def test_a_thread_keeps_the_count_moving(store: Store, trial: Trial) -> None:
    leases = Leases(store, this_process("one", [0, 0], {}, stale_seconds=0.05))
    lease = leases.take(trial)
    assert lease is not None
    path = store.lease_path(trial, 1)
    seen = {path.read_bytes()}
    while len(seen) < 3:
        seen.add(path.read_bytes())
    assert len({content.partition(b"\n")[0] for content in seen}) == 1
    leases.stop()


@pytest.mark.parametrize(
    ("earlier", "later", "is_outlived"),
    [
        ({"run": "a", "start": [0, 3]}, {"run": "a", "start": [1, 0]}, True),  # torchrun started it again
        ({"run": "a", "start": [1, 0]}, {"run": "a", "start": [1, 0]}, False),  # another rank of it
        ({"job": "7", "job_restart": 0}, {"job": "7", "job_restart": 1}, True),  # the job was requeued
        ({"job": "7", "job_restart": 0}, {"job": "8", "job_restart": 1}, False),
        ({"job": "7", "process": 2**22 + 1}, {"job": "7"}, True),  # two commands in one job
        ({"process": 2**22 + 1}, {}, True),  # no such process on this machine
        ({"started": "1"}, {}, True),  # another process has its number now
        ({}, {}, False),
        ({"process": 2**22 + 1, "machine": "another"}, {}, False),  # nothing is known of it
        ({"process": 2**22 + 1, "machine": ""}, {"machine": ""}, False),
    ],
)
def test_who_is_known_to_be_dead_is_not_waited_for(
    earlier: dict[str, Any], later: dict[str, Any], is_outlived: bool
) -> None:
    owner = this_process("one", [0, 0], {}).model_copy(update=earlier)
    other = this_process("two", [0, 0], {}).model_copy(update=later)
    assert owner.is_outlived_by(other) == is_outlived


def test_a_killed_process_is_known_to_be_dead(store: Store, trial: Trial, runs: Any, tmp_path: Path) -> None:
    code = """
import os, sys, signal
from pathlib import Path
from harness.results.lease import Leases
from harness.results.lease_owner import this_process
from harness.results.store import Store
from tests.support.records import suite_of
leases = Leases(Store(Path(sys.argv[1])), this_process("dead", [0, 0], {}))
leases.take(next(suite_of(Path(sys.argv[2])).trials()))
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code, store.root, tmp_path], cwd=ROOT, check=False)
    lease = runs("two").take(trial)
    assert lease is not None
    assert lease.before.run == "dead"


def test_what_is_no_claim_is_taken_over_when_it_stands_still(
    runs: Any, trial: Trial, store: Store, clock: Clock
) -> None:
    write_whole(store.lease_path(trial, 1), b"cut")
    one = runs("one")
    assert one.take(trial) is None
    clock.seconds = 61.0
    assert one.take(trial) is not None


def test_a_claim_that_is_gone_is_lost(runs: Any, trial: Trial, store: Store) -> None:
    one = runs("one")
    lease = one.take(trial)
    store.lease_path(trial, 1).unlink()  # another run has taken it over and given it up since
    with pytest.raises(LostLeaseError, match="taken over by another run"):
        one.check(trial, lease)
    store.lease_path(trial, 1).parent.rmdir()
    with pytest.raises(StoreError, match="claim is gone; was the folder removed meanwhile"):
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


def test_a_heart_never_beats_in_anothers_claim(store: Store, trial: Trial) -> None:
    one = Leases(store, this_process("one", [0, 0], {}, stale_seconds=0.02))
    one.take(trial)
    path, beats = store.lease_path(trial, 1), set()
    theirs = this_process("two", [0, 0], {}).model_dump_json().encode() + b"\n%020d\n" % 0
    path.unlink()
    path.write_bytes(theirs)
    deadline = time.monotonic() + 0.2
    while time.monotonic() < deadline:
        beats.add(path.read_bytes())
    one.stop()
    assert beats == {theirs}


def test_a_rank_takes_what_another_has_found_dead(runs: Any, trial: Trial, clock: Clock) -> None:
    lost, speaker, rank = runs("dead", machine="another"), runs("run"), runs("run")
    lost.take(trial)
    assert speaker.owner(trial) is not None
    clock.seconds = 61.0
    assert speaker.owner(trial) is None
    assert rank.take(trial) is None  # it has only just seen it
    assert rank.take(trial, speaker.dead(trial)) is not None


def test_the_slower_heart_counts(runs: Any, trial: Trial, clock: Clock) -> None:
    slow, quick = runs("slow", machine="another", stale_seconds=600.0), runs("quick")
    slow.take(trial)
    assert quick.take(trial) is None
    clock.seconds = 599.0
    assert quick.take(trial) is None
    clock.seconds = 601.0
    assert quick.take(trial) is not None


def test_any_rank_of_a_run_knows_its_claims(runs: Any, trial: Trial) -> None:
    lease = runs("one").take(trial)
    assert runs("one").ours(trial) == lease
    assert runs("one", (1, 0)).ours(trial) is None
    assert runs("two").ours(trial) is None


def test_the_holder_says_who_it_is(trial: Trial) -> None:
    env = {"SLURM_JOB_ID": "17", "SLURM_CLUSTER_NAME": "local", "SLURM_RESTART_COUNT": "2"}
    owner: LeaseOwner = this_process("one", [1, 2], env).model_copy(update={"host": "n1", "process": 5})
    assert str(owner) == "job local:17, process 5 on n1"
    assert owner.job_restart == 2


def test_a_claim_says_how_far_its_trial_is(store: Store, trial: Trial) -> None:
    leases = Leases(store, this_process("one", [0, 0], {}, stale_seconds=0.05))
    lease = leases.take(trial)
    assert lease is not None
    path = store.lease_path(trial, 1)
    assert read(path.read_bytes()) == (leases.owner(trial), None)
    steps = iter(range(1, 10**9))
    leases.tell(trial, lease, lambda: LeaseProgress(fraction=1 - 1 / next(steps), epochs=2))
    seen: set[float] = set()
    while len(seen) < 3:
        owner, lease_progress = read(path.read_bytes())
        assert owner == leases.owner(trial)
        seen |= {lease_progress.fraction} if lease_progress else set()
    leases.check(trial, lease)
    leases.release(trial, lease)
    leases.tell(trial, lease, lambda: LeaseProgress(fraction=1.0, epochs=2))  # too late: nothing comes of it
    leases.stop()
    assert not path.exists()


def test_a_heart_beats_on_whatever_there_is_to_tell(store: Store, trial: Trial) -> None:
    leases = Leases(store, this_process("one", [0, 0], {}, stale_seconds=0.05))
    lease = leases.take(trial)
    assert lease is not None
    told: list[int] = []

    def fails() -> LeaseProgress:
        told.append(1)
        raise RuntimeError("a mistake")

    leases.tell(trial, lease, fails)
    while len(told) < 3:
        time.sleep(0.001)
    leases.stop()
    assert read(store.lease_path(trial, 1).read_bytes()) == (leases.owner(trial), None)


def test_claims_of_an_earlier_form_and_others_are_read(trial: Trial) -> None:
    owner = this_process("one", [0, 0], {})
    head = owner.model_dump_json().encode()
    assert read(head + b"\n%020d\n" % 7) == (owner, None)
    assert read(head) == (owner, None)
    assert read(b"cut") == read(b"") == (NOBODY, None)
