"""Leases on trials, by which several runs share one results folder: files, no locks, no common clock.

A lease is a file that exactly one run succeeds in creating. While its owner lives, a heartbeat thread
increments a counter in it, and writes the trial's progress beside the counter, for display only. If the
counter stands still for long enough by another run's clock, that run creates the lease of the next
generation, and then owns the trial. If the old owner is alive after all, it notices this before it saves
anything.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness.config.suite import Trial
from harness.errors import LostLeaseError, StoreError
from harness.results.atomic_files import place, remove, write_whole
from harness.results.lease_owner import NOBODY, LeaseOwner
from harness.results.lease_progress import LeaseProgress
from harness.results.store import Store
from harness.strict import Strict

_BEATS_BEFORE_STALE = 10


class Lease(Strict):
    """A lease on a trial, given by its key; `before` is the dead owner from which it was taken over."""

    trial: str
    generation: int
    token: str
    before: LeaseOwner | None = None


@dataclass
class Leases:
    """Acquires and releases leases, keeps them alive, and knows which others hold."""

    store: Store
    me: LeaseOwner
    now: Callable[[], float] = time.monotonic
    _held: dict[Path, bytes] = field(default_factory=dict)
    _progress: dict[Path, Callable[[], LeaseProgress]] = field(default_factory=dict)
    _observed: dict[Path, tuple[bytes, float]] = field(default_factory=dict)
    _changing: threading.Lock = field(default_factory=threading.Lock)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._beat_until_stopped, name="claims", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread that keeps the leases alive."""
        self._stopped.set()
        self._thread.join()

    def owner(self, trial: Trial) -> LeaseOwner | None:
        """Return the owner of the trial's lease if it may be alive; None if the trial is free."""
        generation = self._generation(trial)
        owner = self._maker(trial, generation)
        return owner if owner and self._may_live(trial, generation, owner) else None

    def dead(self, trial: Trial) -> str:
        """Return the token of a free trial's last lease, left by a dead owner; empty if there is none."""
        owner = self._maker(trial, self._generation(trial))
        return owner.token if owner else ""

    def take(self, trial: Trial, dead: str = "") -> Lease | None:
        """Acquire a lease on the trial if it is free; raise StoreError if nothing can be written.

        `dead` is the token of an owner that another process has found to be dead.
        """
        generation = self._generation(trial)
        before = self._maker(trial, generation)
        if before is None and generation > 0:  # released at this moment
            return None
        is_dead = bool(dead) and before is not None and before.token == dead
        if before and not is_dead and self._may_live(trial, generation, before):
            return None
        owner = self.me.model_copy(update={"token": uuid.uuid4().hex})
        head, path = owner.model_dump_json().encode(), self.store.lease_path(trial, generation + 1)
        # A power failure ends its owner, too; an empty lease is taken over as one without a heartbeat.
        if not place(path, _content(head, 0), durable=False):
            return None
        with self._changing:
            self._held = {**self._held, path: head}
        if before:
            for lower in range(1, generation + 1):  # no gap below, as release goes downwards
                write_whole(self.store.lease_path(trial, lower), _content(head, 0))
            self.store.sweep(trial)
        return Lease(trial=trial.key, generation=generation + 1, token=owner.token, before=before)

    def tell(self, trial: Trial, lease: Lease, lease_progress: Callable[[], LeaseProgress]) -> None:
        """Write the trial's progress into the lease with every heartbeat, if this process acquired it."""
        path = self.store.lease_path(trial, lease.generation)
        with self._changing:
            if path in self._held:
                self._progress = {**self._progress, path: lease_progress}

    def ours(self, trial: Trial) -> Lease | None:
        """Return this run's lease on the trial, whichever of its processes acquired it; else None."""
        generation = self._generation(trial)
        owner = self._maker(trial, generation)
        if owner is None or (owner.run, owner.start) != (self.me.run, self.me.start):
            return None
        return Lease(trial=trial.key, generation=generation, token=owner.token)

    def check(self, trial: Trial, lease: Lease) -> None:
        """Raise LostLeaseError if another run has the trial now, StoreError if the lease's folder is gone."""
        later = self._maker(trial, self._generation(trial, lease.generation))
        path = self.store.lease_path(trial, lease.generation)
        if later is None and not path.parent.is_dir():
            raise StoreError(f"{path}: this run's lease is gone; was the folder removed meanwhile?")
        if later is None or later.token != lease.token:
            raise LostLeaseError(
                f"{trial.key}: taken over by {later or 'another run'}, which found no heartbeat of "
                "this run; what this run trained of it is dropped"
            )

    def release(self, trial: Trial, lease: Lease) -> None:
        """Release the trial, unless another run has taken it over."""
        own = self.store.lease_path(trial, lease.generation)
        with self._changing:
            self._held = {path: head for path, head in self._held.items() if path != own}
            self._progress = {path: each for path, each in self._progress.items() if path != own}
        with contextlib.suppress(LostLeaseError, StoreError):
            self.check(trial, lease)
            for generation in range(lease.generation, 0, -1):  # from the highest down: a gap would seem free
                remove(self.store.lease_path(trial, generation))

    def _generation(self, trial: Trial, known: int = 0) -> int:
        """Return the latest generation of the trial's leases, 0 if there is none."""
        try:
            while self.store.lease_path(trial, known + 1).exists():
                known += 1
        except OSError as error:
            raise StoreError(f"{error.filename}: cannot be checked: {error.strerror}") from None
        return known

    def _maker(self, trial: Trial, generation: int) -> LeaseOwner | None:
        """Return who created the lease, None if there is none; note when its file was last seen to change."""
        path = self.store.lease_path(trial, generation)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{path}: cannot be read: {error.strerror}") from None
        if path not in self._observed or content != self._observed[path][0]:
            self._observed[path] = content, self.now()
        return read(content)[0]

    def _may_live(self, trial: Trial, generation: int, owner: LeaseOwner) -> bool:
        _, since = self._observed[self.store.lease_path(trial, generation)]
        stale_seconds = max(
            self.me.stale_seconds, owner.stale_seconds
        )  # an owner's stale time sets its heartbeat interval
        return self.now() - since <= stale_seconds and not owner.is_outlived_by(self.me)

    def _beat_until_stopped(self) -> None:
        beats = 0
        while not self._stopped.wait(self.me.stale_seconds / _BEATS_BEFORE_STALE):
            beats += 1
            for path, head in self._held.items():
                with (
                    contextlib.suppress(OSError),
                    path.open("r+b") as file,
                ):  # a missing lease is noticed before a save
                    if file.read(len(head)) == head:  # else another owner has it now
                        file.seek(0)
                        file.write(_content(head, beats, self._progress_line(path)))

    def _progress_line(self, path: Path) -> bytes:
        lease_progress = self._progress.get(path)
        with contextlib.suppress(Exception):  # no error in it may stop the heartbeat
            return b" " + lease_progress().line() if lease_progress else b""
        return b""


def read(content: bytes) -> tuple[LeaseOwner, LeaseProgress | None]:
    """Parse a lease file; return its owner, and the trial's progress, None if unknown."""
    head, _, beat = content.partition(b"\n")
    try:
        owner = LeaseOwner.model_validate_json(head)
    except ValueError:
        owner = NOBODY
    return owner, LeaseProgress.from_line(beat.partition(b" ")[2])


def _content(head: bytes, beats: int, lease_progress: bytes = b"") -> bytes:
    return head + b"\n%020d%s\n" % (beats, lease_progress)
