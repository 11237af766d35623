"""A user on the login node of a SLURM: writes suites, submits them, waits for jobs, reads the records."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.results.record import Record
from tests.support import ROOT, fault_models, runs
from tests.support.slurm_cluster import Cluster, eventually

SUITE = """\
suite: small
title: A small suite
table: {figures: false}
dataset: {name: kmnist_sample, resize: 8}
seeds: 2
common:
  training: {epochs: 2, batch_size: 600, precision: fp64, optimizer: {name: Adam, lr: 0.01}}
experiments:
  mlp: {model: {name: mlp, hidden: [16], dropout: 0.2}}
"""
# Takes half a second an epoch, and hardly computes, as long as there is a file `slow` in the user's folder.
LONG = SUITE.replace("epochs: 2", "epochs: 40").replace("seeds: 2", "seeds: 1")
LONG = re.sub("{name: mlp.*}}", "{name: 'tests.support.fault_models:slow_mlp'}}", LONG)
FINISHED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")


@dataclass
class User:
    """Somebody with a suite in a folder, on the login node of a cluster."""

    cluster: Cluster
    folder: Path

    def __post_init__(self) -> None:
        self.write(SUITE)

    @property
    def slow(self) -> Path:
        """Return the file that makes a long suite long."""
        return self.folder / fault_models.SLOW

    def write(self, text: str, name: str = "suite.yaml") -> None:
        """Write a suite."""
        (self.folder / name).write_text(text, encoding="utf-8")

    def call(self, *command: str, code: int = 0, **variables: str) -> str:
        """Run a command to its end; return what it printed on both streams."""
        env = {
            **self.cluster.env,
            "PYTHONPATH": str(ROOT),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "HARNESS_STALE_SECONDS": "3",
            **variables,
        }
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def harness(self, *arguments: str, code: int = 0) -> str:
        """Run a command of the harness to its end."""
        return self.call(sys.executable, "-m", "harness", *arguments, code=code)

    def submit(self, *arguments: str) -> tuple[str, str]:
        """Submit suites; return the numbers of the two jobs."""
        output = self.harness("submit", "--time", "10", *arguments)
        training, report = re.findall(r"^job (\d+)", output, re.MULTILINE)
        return training, report

    def log(self, job: str) -> str:
        """Return what a job has printed."""
        path = self.folder / "results" / ".jobs" / f"{job}.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def epoch(self, number: int, job: str) -> bool:
        """Tell whether a job has trained so many epochs."""
        return f": epoch {number}/" in self.log(job)

    def ends(self, job: str, state: str = "COMPLETED", seconds: float = 90.0) -> None:
        """Wait until a job has ended, and assert how."""
        found = eventually(lambda: self._end(job), seconds, lambda: f"{self.log(job)}\n{self.cluster.logs()}")
        assert found == state, f"{self.cluster.job(job)}\n{self.log(job)}"

    def _end(self, job: str) -> str | None:
        state = self.cluster.job(job).get("JobState")
        return state if state in FINISHED else None

    def starts_again(self, job: str, report: str) -> None:
        """Wait until a job is queued again, and let it start and be quick; its report waits on.

        A start in the second in which the earlier one was ended would have its credential revoked, too.
        """
        eventually(lambda: self.cluster.job(job).get("Restarts") == "1", 60, lambda: self.log(job))
        eventually(lambda: self.cluster.job(job).get("JobState") == "PENDING", 60, self.cluster.logs)
        self.slow.unlink()
        waiting = self.cluster.job(report)
        assert (waiting["JobState"], waiting["Reason"]) == ("PENDING", "Dependency")
        eventually(self.cluster.is_settled, 30, self.cluster.logs)
        self.call("scontrol", "update", f"JobId={job}", "StartTime=now+3")
        started = ("RUNNING", *FINISHED)
        eventually(lambda: self.cluster.job(job).get("JobState") in started, 60, self.cluster.logs)

    def records(self, folder: str = "results") -> dict[str, Record]:
        """Return the records in a folder of results."""
        return runs.records(str(self.folder / folder))

    def figures(self) -> dict[str, list[float]]:
        """Return what all trials found, without times."""
        return runs.figures(str(self.folder / "results"))
