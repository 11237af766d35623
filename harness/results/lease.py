"""Claims on trials, so that several runs can share one folder of results: files, no locks and no clocks.

A claim is a file that exactly one run succeeds in making. A thread counts in it as long as its maker lives,
and says beside the count how far the trial is, which no other run depends on.
Who sees the count stand still for long enough, by a clock of its own, makes the claim of the next generation
and has the trial then; the old holder, should it live after all, finds that out before it saves anything.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness.config.settings import Strict
from harness.config.suite import Trial
from harness.errors import LostLeaseError, StoreError
from harness.results.atomic_files import place, remove, write_whole
from harness.results.lease_owner import NOBODY, LeaseOwner
from harness.results.lease_progress import LeaseProgress
from harness.results.store import Store

_BEATS_BEFORE_STALE = 10


class Lease(Strict):
    """Say which trial (by its key) was claimed; `before` is the dead holder that it was taken over from."""

    trial: str
    generation: int
    token: str
    before: LeaseOwner | None = None


@dataclass
class Leases:
    """Takes claims, keeps them alive, and knows which are held by others."""

    store: Store
    me: LeaseOwner
    now: Callable[[], float] = time.monotonic
    _held: dict[Path, bytes] = field(default_factory=dict)
    _headways: dict[Path, Callable[[], LeaseProgress]] = field(default_factory=dict)
    _observed: dict[Path, tuple[bytes, float]] = field(default_factory=dict)
    _changing: threading.Lock = field(default_factory=threading.Lock)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._beat_until_stopped, name="claims", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread that keeps the claims alive."""
        self._stopped.set()
        self._thread.join()

    def owner(self, trial: Trial) -> LeaseOwner | None:
        """Return who holds the trial and may be alive; None where it is free."""
        generation = self._generation(trial)
        owner = self._maker(trial, generation)
        return owner if owner and self._may_live(trial, generation, owner) else None

    def dead(self, trial: Trial) -> str:
        """Return the token of a free trial's last claim, whose holder is dead; empty where there is none."""
        owner = self._maker(trial, self._generation(trial))
        return owner.token if owner else ""

    def take(self, trial: Trial, dead: str = "") -> Lease | None:
        """Claim the trial, if it is free; raise StoreError where nothing can be written.

        The holder whose token is `dead` has been found to be so by another process.
        """
        generation = self._generation(trial)
        before = self._maker(trial, generation)
        if before is None and generation > 0:  # given up this moment
            return None
        is_dead = bool(dead) and before is not None and before.token == dead
        if before and not is_dead and self._may_live(trial, generation, before):
            return None
        owner = self.me.model_copy(update={"token": uuid.uuid4().hex})
        head, path = owner.model_dump_json().encode(), self.store.lease_path(trial, generation + 1)
        if not place(path, _content(head, 0)):
            return None
        with self._changing:
            self._held = {**self._held, path: head}
        if before:
            for lower in range(1, generation + 1):  # when it is given up, downwards, none may seem free
                write_whole(self.store.lease_path(trial, lower), _content(head, 0))
            self.store.sweep(trial)
        return Lease(trial=trial.key, generation=generation + 1, token=owner.token, before=before)

    def tell(self, trial: Trial, lease: Lease, lease_progress: Callable[[], LeaseProgress]) -> None:
        """Have the claim say how far its trial is, as of every beat, where this process took it."""
        path = self.store.lease_path(trial, lease.generation)
        with self._changing:
            if path in self._held:
                self._headways = {**self._headways, path: lease_progress}

    def ours(self, trial: Trial) -> Lease | None:
        """Return the claim that this run has on the trial, whichever of its processes took it."""
        generation = self._generation(trial)
        owner = self._maker(trial, generation)
        if owner is None or (owner.run, owner.start) != (self.me.run, self.me.start):
            return None
        return Lease(trial=trial.key, generation=generation, token=owner.token)

    def check(self, trial: Trial, lease: Lease) -> None:
        """Raise LostClaimError where another run has the trial now, StoreError where the claim is gone."""
        later = self._maker(trial, self._generation(trial, lease.generation))
        path = self.store.lease_path(trial, lease.generation)
        if later is None and not path.parent.is_dir():
            raise StoreError(f"{path}: this run's claim is gone; was the folder removed meanwhile?")
        if later is None or later.token != lease.token:
            raise LostLeaseError(
                f"{trial.key}: taken over by {later or 'another run'}, to which this run seemed dead; "
                "what it trained of it is dropped"
            )

    def release(self, trial: Trial, lease: Lease) -> None:
        """Give the trial up, unless another has taken it over."""
        own = self.store.lease_path(trial, lease.generation)
        with self._changing:
            self._held = {path: head for path, head in self._held.items() if path != own}
            self._headways = {path: each for path, each in self._headways.items() if path != own}
        with contextlib.suppress(LostLeaseError, StoreError):
            self.check(trial, lease)
            for generation in range(lease.generation, 0, -1):  # downwards: no gap may seem free
                remove(self.store.lease_path(trial, generation))

    def _generation(self, trial: Trial, known: int = 0) -> int:
        """Return the latest generation of the trial's claims, 0 where there is none."""
        try:
            while self.store.lease_path(trial, known + 1).exists():
                known += 1
        except OSError as error:
            raise StoreError(f"{error.filename}: cannot be looked for: {error.strerror}") from None
        return known

    def _maker(self, trial: Trial, generation: int) -> LeaseOwner | None:
        """Return who made the claim, None where there is none; note when it was last seen to change."""
        path = self.store.lease_path(trial, generation)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{path}: cannot be read: {error.strerror}") from None
        if content != self._observed.get(path, (b"", 0.0))[0]:
            self._observed[path] = content, self.now()
        return read(content)[0]

    def _may_live(self, trial: Trial, generation: int, owner: LeaseOwner) -> bool:
        _, since = self._observed[self.store.lease_path(trial, generation)]
        stale_seconds = max(
            self.me.stale_seconds, owner.stale_seconds
        )  # it beats as often as its own asks for
        return self.now() - since <= stale_seconds and not owner.is_outlived_by(self.me)

    def _beat_until_stopped(self) -> None:
        beats = 0
        while not self._stopped.wait(self.me.stale_seconds / _BEATS_BEFORE_STALE):
            beats += 1
            for path, head in self._held.items():
                with (
                    contextlib.suppress(OSError),
                    path.open("r+b") as file,
                ):  # gone: it is found before a save
                    if file.read(len(head)) == head:  # else it is another's by now
                        file.seek(0)
                        file.write(_content(head, beats, self._headway_line(path)))

    def _headway_line(self, path: Path) -> bytes:
        lease_progress = self._headways.get(path)
        with contextlib.suppress(Exception):  # whatever it is, the heart goes on beating
            return b" " + lease_progress().line() if lease_progress else b""
        return b""


def read(content: bytes) -> tuple[LeaseOwner, LeaseProgress | None]:
    """Return what a claim's file says: who made it, and how far the trial is, if that can be known."""
    head, _, beat = content.partition(b"\n")
    try:
        owner = LeaseOwner.model_validate_json(head)
    except ValueError:
        owner = NOBODY
    return owner, LeaseProgress.from_line(beat.partition(b" ")[2])


def _content(head: bytes, beats: int, lease_progress: bytes = b"") -> bytes:
    return head + b"\n%020d%s\n" % (beats, lease_progress)
