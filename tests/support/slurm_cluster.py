"""A SLURM of two nodes on this machine, started for the tests and ended with them."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from harness.results.procfs import stat

T = TypeVar("T")

PROGRAMS = ("munged", "mungekey", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "sinfo", "squeue")
NODES = ("n1", "n2")

# Four GPUs a node that are plain files: jobs get their numbers, torch sees none of them.
CONFIGURATION = """\
ClusterName=local
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
SlurmctldPort={ports[0]}
StateSaveLocation={folder}/ctld
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmdTimeout=10
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=8000 Gres=gpu:4
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=8000 Gres=gpu:4
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=60
PartitionName=urgent Nodes=n1,n2 MaxTime=INFINITE State=UP PriorityTier=2
"""


def eventually(find: Callable[[], T], seconds: float = 60.0, what: Callable[[], str] = lambda: "") -> T:
    """Return what `find` finds, as soon as it is something; fail after so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := find()):
        if time.monotonic() > deadline:
            pytest.fail(f"nothing after {seconds} s: {what()}")
        time.sleep(0.25)  # each look starts a program
    return found


@dataclass
class Cluster:
    """The programs of one SLURM, those that this one started and no others."""

    folder: Path
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """Return the environment in which SLURM's programs find this cluster."""
        return {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def start(self) -> None:
        """Start all programs and wait until both nodes are idle."""
        for name in ("munge", "ctld", "log", *NODES):
            (self.folder / name).mkdir(parents=True)
        with socket.socket() as a, socket.socket() as b, socket.socket() as c:
            for each in (a, b, c):
                each.bind(("127.0.0.1", 0))
            ports = [each.getsockname()[1] for each in (a, b, c)]
        facts = {"host": socket.gethostname(), "user": getpass.getuser(), "folder": self.folder}
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(ports=ports, **facts), encoding="utf-8")
        for number in range(4):
            (self.folder / f"gpu{number}").touch()
        (self.folder / "gres.conf").write_text(
            f"NodeName=n[1-2] Name=gpu File={self.folder}/gpu[0-3]\n", encoding="utf-8"
        )
        self._start_munge(self.folder / "munge")
        self._start("slurmctld", "slurmctld", "-D")
        for node in NODES:
            self.start_node(node)

    def _start_munge(self, folder: Path) -> None:
        files = {
            "key-file": "key",
            "log-file": "log",
            "pid-file": "pid",
            "seed-file": "seed",
            "socket": "socket",
        }
        subprocess.run(["mungekey", "--create", "--keyfile", str(folder / "key")], check=True)
        options = [f"--{option}={folder / name}" for option, name in files.items()]
        self._start("munged", "munged", "--foreground", "--force", *options)
        eventually((folder / "socket").exists, 20, (self.folder / "log" / "munged").read_text)

    def _start(self, name: str, *command: str) -> None:
        with (self.folder / "log" / name).open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                command,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_node(self, node: str) -> None:
        """Start a node's slurmd and wait until the node is idle."""
        self._start(node, "slurmd", "-D", "-N", node)
        eventually(lambda: self.state(node) == "idle", 60, self.logs)

    def state(self, node: str) -> str:
        """Return a node's state as sinfo has it."""
        return self.ask("sinfo", "--noheader", "--nodes", node, "--format=%t")

    def lose_node(self, node: str) -> None:
        """Kill a node's slurmd, its slurmstepds and what they started, as if the machine had gone."""
        daemon = self.daemons.pop(node)
        daemon.kill()
        daemon.wait()
        tasks = [pid for pid in processes() if f"SLURMD_NODENAME={node}" in environment(pid)]
        for pid in {parent for each in tasks for parent in ancestors(each) if is_step(parent)}:
            kill(pid)
        for pid in tasks:
            kill(pid)

    def ask(self, *command: str) -> str:
        """Run one of SLURM's programs; return what it printed, or nothing where it failed."""
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False, timeout=60)
        return done.stdout.strip() if done.returncode == 0 else ""

    def job(self, number: str) -> dict[str, str]:
        """Return what scontrol tells of a job."""
        words = self.ask("scontrol", "show", "job", "--oneliner", number).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def is_settled(self) -> bool:
        """Tell whether the controller has told the nodes all it had to, such as to end an earlier start."""
        return ["Agent", "count:", "0"] in [line.split() for line in self.ask("sdiag").splitlines()]

    def logs(self) -> str:
        """Return the ends of all logs, for a failing test to show."""
        files = sorted((self.folder / "log").iterdir())
        return "\n".join(f"{path}:\n{path.read_text(errors='replace')[-2000:]}" for path in files)

    def stop(self) -> None:
        """End the jobs and every program that was started here."""
        self.ask("scancel", "--user", getpass.getuser())
        until = time.monotonic() + 20
        while self.ask("squeue", "--noheader") and time.monotonic() < until:
            time.sleep(0.1)
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
        for daemon in self.daemons.values():
            try:
                daemon.wait(20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for pid in processes():  # such as an srun that waits for a node that was lost
            if f"SLURM_CONF={self.env['SLURM_CONF']}" in environment(pid):
                kill(pid)


def processes() -> list[int]:
    """List the numbers of all processes."""
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def environment(pid: int) -> list[str]:
    """Return a process's environment, as far as it may be read."""
    try:
        return Path(f"/proc/{pid}/environ").read_text(encoding="utf-8", errors="replace").split("\0")
    except OSError:
        return []


def ancestors(pid: int) -> Iterator[int]:
    """Yield a process's parent, its parent, and so on."""
    while pid > 1:
        fields = stat(pid)
        if not fields:
            return
        pid = int(fields[1])
        yield pid


def is_step(pid: int) -> bool:
    """Tell whether a process is a slurmstepd."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").startswith("slurmstepd")
    except OSError:
        return False


def kill(pid: int) -> None:
    """Kill a process that may have ended already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Start a SLURM; skip where its programs are missing, which in CI is a failure."""
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        reason = f"no {', '.join(missing)} here; .ci/run names the packages of a SLURM"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    started = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        started.start()
        yield started
    finally:
        started.stop()
