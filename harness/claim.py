"""Claims on trials, so that several runs can share one folder of results: files, no locks and no clocks.

A claim is a file that exactly one run succeeds in making. A thread counts in it as long as its maker lives.
Who sees the count stand still for long enough, by a clock of its own, makes the claim of the next generation
and has the trial then; the old holder, should it live after all, finds that out before it saves anything.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import LostClaimError, StoreError
from harness.files import place
from harness.settings import Strict
from harness.store import Store
from harness.suite import Trial

_BEATS_BEFORE_STALE = 10


class Holder(Strict):
    """Say who holds a claim: a process of a start of a run, perhaps within a job; `started` names no time."""

    host: str
    machine: str
    process: int
    started: str
    job: str
    job_restart: int
    run: str
    start: list[int]
    token: str

    def __str__(self) -> str:
        job = f"job {self.job}, " if self.job else ""
        return f"{job}process {self.process} on {self.host}"

    def is_outlived_by(self, other: Holder) -> bool:
        """Tell whether the holder is known to be dead, without any waiting."""
        if self.run == other.run:
            return self.start < other.start  # torchrun ends all workers before it starts them again
        if self.job and self.job == other.job:
            return self.job_restart < other.job_restart
        same_machine = bool(self.machine) and self.machine == other.machine
        return same_machine and _process_start(self.process) != self.started


_NOBODY = Holder(
    host="an unknown host",
    machine="",
    process=0,
    started="",
    job="",
    job_restart=0,
    run="",
    start=[0, 0],
    token="",
)


def this_process(run: str, start: list[int], env: Mapping[str, str]) -> Holder:
    """Describe this process as the holder of claims, in the given start of a run."""
    cluster, job = env.get("SLURM_CLUSTER_NAME", ""), env.get("SLURM_JOB_ID", "")
    return Holder(
        host=socket.gethostname(),
        machine=_machine(),
        process=os.getpid(),
        started=_process_start(os.getpid()),
        job=f"{cluster}:{job}" if job and cluster else job,
        job_restart=int(env.get("SLURM_RESTART_COUNT") or 0),
        run=run,
        start=start,
        token=uuid.uuid4().hex,
    )


class Claim(Strict):
    """Say which trial (by its key) was claimed; `before` is the dead holder that it was taken over from."""

    trial: str
    generation: int
    token: str
    before: Holder | None = None


@dataclass
class Claims:
    """Takes claims, keeps them alive, and knows which are held by others."""

    store: Store
    me: Holder
    stale_seconds: float
    now: Callable[[], float] = time.monotonic
    _held: dict[Path, bytes] = field(default_factory=dict)
    _observed: dict[Path, tuple[bytes, float]] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._beat_until_stopped, name="claims", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread that keeps the claims alive."""
        self._stopped.set()
        self._thread.join()

    def holder(self, trial: Trial) -> Holder | None:
        """Return who holds the trial and may be alive; None where it is free."""
        generation = self._generation(trial)
        holder = self._maker(trial, generation)
        return holder if holder and self._may_live(trial, generation, holder) else None

    def take(self, trial: Trial) -> Claim | None:
        """Claim the trial, if it is free; raise StoreError where nothing can be written."""
        generation = self._generation(trial)
        before = self._maker(trial, generation)
        if before is None and generation > 0:  # given up this moment
            return None
        if before and self._may_live(trial, generation, before):
            return None
        holder = self.me.model_copy(update={"token": uuid.uuid4().hex})
        head, path = holder.model_dump_json().encode(), self.store.claim_path(trial, generation + 1)
        if not place(path, _content(head, 0)):
            return None
        self._held = {**self._held, path: head}
        self.store.sweep(trial)
        return Claim(trial=trial.key, generation=generation + 1, token=holder.token, before=before)

    def ours(self, trial: Trial) -> Claim | None:
        """Return the claim that this run has on the trial, whichever of its processes took it."""
        generation = self._generation(trial)
        holder = self._maker(trial, generation)
        if holder is None or (holder.run, holder.start) != (self.me.run, self.me.start):
            return None
        return Claim(trial=trial.key, generation=generation, token=holder.token)

    def check(self, trial: Trial, claim: Claim) -> None:
        """Raise LostClaimError where another run has the trial now, StoreError where the claim is gone."""
        later = self._maker(trial, self._generation(trial, claim.generation))
        if later is None and self.store.find(trial).state != "done":
            path = self.store.claim_path(trial, claim.generation)
            raise StoreError(f"{path}: this run's claim is gone; was the folder removed meanwhile?")
        if later is None or later.token != claim.token:
            raise LostClaimError(
                f"{trial.key}: taken over by {later or 'another run'}, to which this run seemed dead; "
                "what it trained of it is dropped"
            )

    def release(self, trial: Trial, claim: Claim) -> None:
        """Give the trial up, unless another has taken it over."""
        own = self.store.claim_path(trial, claim.generation)
        self._held = {path: head for path, head in self._held.items() if path != own}
        with contextlib.suppress(LostClaimError, StoreError):
            self.check(trial, claim)
            for generation in range(claim.generation, 0, -1):  # downwards: no gap may seem free
                self.store.claim_path(trial, generation).unlink(missing_ok=True)

    def _generation(self, trial: Trial, known: int = 0) -> int:
        """Return the latest generation of the trial's claims, 0 where there is none."""
        while self.store.claim_path(trial, known + 1).exists():
            known += 1
        return known

    def _maker(self, trial: Trial, generation: int) -> Holder | None:
        """Return who made the claim, None where there is none; note when it was last seen to change."""
        path = self.store.claim_path(trial, generation)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"{path}: cannot be read: {error.strerror}") from None
        if content != self._observed.get(path, (b"", 0.0))[0]:
            self._observed[path] = content, self.now()
        try:
            return Holder.model_validate_json(content.partition(b"\n")[0])
        except ValueError:
            return _NOBODY

    def _may_live(self, trial: Trial, generation: int, holder: Holder) -> bool:
        _, since = self._observed[self.store.claim_path(trial, generation)]
        return self.now() - since <= self.stale_seconds and not holder.is_outlived_by(self.me)

    def _beat_until_stopped(self) -> None:
        beats = 0
        while not self._stopped.wait(self.stale_seconds / _BEATS_BEFORE_STALE):
            beats += 1
            for path, head in self._held.items():
                with (
                    contextlib.suppress(OSError),
                    path.open("r+b") as file,
                ):  # gone: it is found before a save
                    file.write(_content(head, beats))


def _content(head: bytes, beats: int) -> bytes:
    return head + b"\n%020d\n" % beats


def _process_start(process: int) -> str:
    """Return what tells a process from a later one of its number; empty where it does not run."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def _machine() -> str:
    """Return what tells in which numbering of processes this one is; empty where that cannot be known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""
