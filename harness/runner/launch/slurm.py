"""SLURM submission: sbatch's argument lists (values, never shell), the call, and the message to the user.

Every job runs the same `run.sbatch` beside this file, which reads its arguments and exported variables.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import environment, program
from harness.config import resolved
from harness.config.suite import Suite
from harness.errors import StoreError, UsageError
from harness.results.atomic_files import update
from harness.runner.launch.slurm_options import SlurmOptions

SCRIPT = Path(__file__).with_name("run.sbatch")

JOBS = ".jobs"
_REPORT_MINUTES = 15
_OF_AN_OUTER_JOB = re.compile(r"SLURM_(?!CONF|CLUSTERS)")


@dataclass(frozen=True)
class FrozenSuite:
    """A suite as it is submitted: its JSON, and the file that holds it for as long as jobs may read it."""

    path: Path
    text: str

    @classmethod
    def of(cls, suite: Suite, folder: Path) -> FrozenSuite:
        """Freeze a suite; suites of equal content share a file."""
        text = resolved.to_json(suite)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return cls(folder / f"{suite.folder}-{digest[:12]}.json", text)


@dataclass(frozen=True)
class Submission:
    """A training job and a report job after it, each with the arguments of its own `harness`.

    `results` is absolute. `code` is the hash of the code to train with, empty to allow any code. The training
    job's arguments name the `frozen` suites.
    """

    name: str
    training: Sequence[str]
    report: Sequence[str]
    options: SlurmOptions
    results: Path
    code: str
    array: int | None = None
    frozen: Sequence[FrozenSuite] = ()

    @property
    def folder(self) -> Path:
        """Return the folder of frozen suites, logs, stop files and outcome files."""
        return self.results / JOBS

    def exported(self) -> dict[str, str]:
        """Return the environment variables that the script reads."""
        return {
            environment.PYTHON: sys.executable,
            environment.PROGRAM: str(program.ENTRY),
            environment.SETUP: self.options.setup or "",
            environment.NPROC: str(self.options.nproc or ""),
            environment.JOBS: str(self.folder),
            environment.CODE: self.code,
        }

    def training_arguments(self) -> list[str]:
        """Return the argument list that submits the training job."""
        asked = self.options
        sized = {
            "nodes": asked.nodes,
            "gpus-per-node": asked.gpus_per_node,
            "cpus-per-task": asked.cpus_per_task,
            "mem": asked.mem,
            "time": asked.time,
            "mail-user": asked.mail_user,
            "mail-type": "END,FAIL" if asked.mail_user else None,
            "array": f"0-{self.array - 1}" if self.array else None,
        }
        own = [*_options(sized), *asked.sbatch_arg]
        return [*self._start(self.name, "%A_%a" if self.array else "%j"), *own, str(SCRIPT), *self.training]

    def report_arguments(self, job: str) -> list[str]:
        """Return the argument list that submits the report job, which runs after `job` in any outcome."""
        after = f"--dependency=afterany:{job}"
        sized = [after, "--nodes=1", "--ntasks=1", f"--time={_REPORT_MINUTES}"]
        return [*self._start(f"{self.name}:report", "%j"), *sized, str(SCRIPT), *self.report]

    def _start(self, name: str, log: str) -> list[str]:
        asked = self.options
        placed = {
            "job-name": name,
            "output": f"{str(self.folder).replace('%', '%%')}/{log}.log",
            "partition": asked.partition,
            "account": asked.account,
            "qos": asked.qos,
            "constraint": asked.constraint,
        }
        return ["sbatch", "--parsable", "--export=ALL", "--requeue", "--open-mode=append", *_options(placed)]

    def submit(self, env: Mapping[str, str]) -> str:
        """Submit both jobs; return the message to the user. Raise UsageError with sbatch's error message."""
        self.prepare()
        job = _sbatch(self.training_arguments(), {**env, **self.exported()})
        try:
            report = _sbatch(self.report_arguments(job), {**env, **self.exported()})
        except UsageError as error:
            raise UsageError(
                f"{error}\njob {job} is submitted and will train, but not the job that writes its tables; "
                f"they are written by: {shlex.join(['harness', *self.report])}"
            ) from None
        return self.told(job, report)

    def told(self, job: str, report: str) -> str:
        """Return the message on which jobs were submitted and how to follow them."""
        nodes = "1 node" if self.options.nodes == 1 else f"{self.options.nodes} nodes"
        many = f", an array of {self.array} that share the trials," if self.array else ""
        log = f"{shlex.quote(str(self.folder))}/{job}{'_*' if self.array else ''}.log"
        return (
            f"job {job}{many} trains on {nodes}{' each' if self.array else ''}\n"
            f"job {report} writes the tables after it, whether it succeeds or not\n"
            f"  logs    {log}\n"
            f"  follow  tail -F {log}\n"
            f"  state   squeue --job {job},{report}\n"
            f"  stop    scancel {job}"
        )

    def shown(self) -> str:
        """Return what would be submitted as shell commands; JOB stands for the number of the first job."""
        exported = [f"{key}={value}" for key, value in self.exported().items()]
        return "\n".join(
            shlex.join([*exported, *arguments])
            for arguments in (self.training_arguments(), self.report_arguments("JOB"))
        )

    def prepare(self) -> None:
        """Write what the jobs' arguments name; raise UsageError if it cannot be written."""
        if "\\" in str(self.folder):
            raise UsageError(
                f"--results: found {str(self.results)!r}, expected no backslash: in a log's path SLURM "
                "treats it as an escape; choose another folder"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError), (self.folder / ".gitignore").open("x") as file:
                file.write("*\n")
            for each in self.frozen:
                update(each.path, each.text.encode())
        except (OSError, StoreError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise UsageError(f"{self.folder}: cannot be written: {why}; choose --results") from None


def _options(values: Mapping[str, str | int | None]) -> list[str]:
    return [f"--{name}={value}" for name, value in values.items() if value]


def _sbatch(arguments: Sequence[str], env: Mapping[str, str]) -> str:
    """Call sbatch; return the job's number."""
    in_a_job = "SLURM_JOB_ID" in env
    own = {key: value for key, value in env.items() if not (in_a_job and _OF_AN_OUTER_JOB.match(key))}
    try:
        done = subprocess.run(arguments, env=own, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UsageError(
            "sbatch: no such program here; expected a cluster's login node. --dry-run works anywhere"
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(f"sbatch: cannot be called: {error}") from None
    number = done.stdout.strip().rpartition("\n")[2].partition(";")[0]
    if done.returncode != 0 or not number.isdecimal():
        raise UsageError(done.stderr.strip() or f"sbatch: exit code {done.returncode}, said {done.stdout!r}")
    return number
