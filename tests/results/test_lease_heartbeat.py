"""The count in a lease that its holder keeps moving, and the progress beside it."""

from __future__ import annotations

import time
from typing import Any

from harness.config.suite import Trial
from harness.results.lease import Leases, read
from harness.results.lease_owner import NOBODY, this_process
from harness.results.lease_progress import LeaseProgress
from harness.results.store import Store
from tests.support.clock import Clock


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


def test_the_slower_heart_counts(runs: Any, trial: Trial, clock: Clock) -> None:
    slow, quick = runs("slow", machine="another", stale_seconds=600.0), runs("quick")
    slow.take(trial)
    assert quick.take(trial) is None
    clock.seconds = 599.0
    assert quick.take(trial) is None
    clock.seconds = 601.0
    assert quick.take(trial) is not None


def test_a_claim_says_how_far_its_trial_is(store: Store, trial: Trial) -> None:
    leases = Leases(store, this_process("one", [0, 0], {}, stale_seconds=0.05))
    lease = leases.take(trial)
    assert lease is not None
    path = store.lease_path(trial, 1)
    me, nothing = read(path.read_bytes())  # owner() would call it dead where this thread waits for its turn
    assert nothing is None
    steps = iter(range(1, 10**9))
    leases.tell(trial, lease, lambda: LeaseProgress(fraction=1 - 1 / next(steps), epochs=2))
    seen: set[float] = set()
    while len(seen) < 3:
        owner, lease_progress = read(path.read_bytes())
        assert owner == me
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
