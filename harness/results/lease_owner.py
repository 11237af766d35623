"""Identity of a lease's owner (host, process, SLURM job), and whether it is known to be dead."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from pathlib import Path

from harness.results.procfs import started
from harness.strict import Strict


class LeaseOwner(Strict):
    """A process that holds leases, with its start of the run and its SLURM job, if any.

    `started` identifies the start of the process; it is no date.
    """

    host: str
    machine: str
    process: int
    started: str
    job: str
    job_restart: int
    run: str
    start: list[int]
    token: str
    stale_seconds: float

    def __str__(self) -> str:
        job = f"job {self.job}, " if self.job else ""
        return f"{job}process {self.process} on {self.host}"

    def is_outlived_by(self, other: LeaseOwner) -> bool:
        """Tell whether this owner is known to be dead, without waiting for missing heartbeats."""
        if self.run == other.run:
            return self.start < other.start  # torchrun ends all workers before it starts them again
        if self.job and self.job == other.job and self.job_restart < other.job_restart:
            return True
        same_machine = bool(self.machine) and self.machine == other.machine
        return same_machine and started(self.process) != self.started


NOBODY = LeaseOwner(
    host="an unknown host",
    machine="",
    process=0,
    started="",
    job="",
    job_restart=0,
    run="",
    start=[0, 0],
    token="",
    stale_seconds=0.0,
)


def this_process(
    run: str, start: list[int], env: Mapping[str, str], stale_seconds: float = 60.0
) -> LeaseOwner:
    """Describe this process as an owner of leases, in the given start of a run.

    Its leases may be taken over after `stale_seconds` without a heartbeat.
    """
    cluster, job = env.get("SLURM_CLUSTER_NAME", ""), env.get("SLURM_JOB_ID", "")
    return LeaseOwner(
        host=socket.gethostname(),
        machine=_machine(),
        process=os.getpid(),
        started=started(os.getpid()),
        job=f"{cluster}:{job}" if job and cluster else job,
        job_restart=int(env.get("SLURM_RESTART_COUNT") or 0),
        run=run,
        start=start,
        token=uuid.uuid4().hex,
        stale_seconds=stale_seconds,
    )


def _machine() -> str:
    """Return an id of the boot and the PID namespace of this process; empty if it cannot be read."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""
