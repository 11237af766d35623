"""What the one script of all jobs does, called as SLURM would: ranks, signals, starts again, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.runner.launch import slurm
from tests.support.fake_slurm import HOSTILE, SCONTROL, SRUN, program

pytestmark = pytest.mark.usefixtures("folder_with_sbatch")


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs the script as SLURM would."""
    program(tmp_path / "bin" / "srun", SRUN)
    program(tmp_path / "bin" / "scontrol", SCONTROL)

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        settings = {"SLURM_JOB_ID": "7", "SLURM_SUBMIT_DIR": str(Path.cwd()), "SLURM_JOB_NUM_NODES": "2"}
        settings |= {"SLURM_CPUS_ON_NODE": "6", "SLURM_JOB_NODELIST": "n[1-2]", "DOING": ":"}
        around = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
        env = {**around, "HARNESS_PYTHON": sys.executable, **settings, **variables}
        return subprocess.run(
            ["bash", str(slurm.SCRIPT), *arguments],
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


Job = Callable[..., subprocess.CompletedProcess[str]]


def told() -> dict[str, str]:
    """Return the environment of the last srun."""
    pairs = Path("environment").read_text(encoding="utf-8").split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def test_the_script_starts_one_torchrun_a_node(job: Job) -> None:
    arguments = ["run", f"--results={HOSTILE}", "suite.yaml"]
    done = job(*arguments)
    assert done.returncode == 0, done.stderr
    assert "job 7, start 0: nodes 2 (n[1-2]), ranks a node 6, threads a rank 1" in done.stdout
    words = Path("srun").read_text(encoding="utf-8").split("\0")[:-1]
    assert words[-len(arguments) :] == arguments
    assert words[6:12] == [
        *(sys.executable, "-P", "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=6")
    ]
    assert "--rdzv-id=7.0" in words
    assert words[-len(arguments) - 2 : -len(arguments)] == ["-m", "harness"]
    assert "--cpu-bind=none" in words
    env = told()
    assert env["HARNESS_JOB_FILES"] == f"{Path.cwd()}/results/.jobs/7.0"
    assert env["OMP_NUM_THREADS"] == "1"


def test_the_program_that_was_submitted_runs_whatever_lies_in_the_folder(job: Job) -> None:
    done = job("suite.yaml", HARNESS_PROGRAM=f"/a path/{HOSTILE}/__main__.py")
    assert done.returncode == 0, done.stderr
    words = Path("srun").read_text(encoding="utf-8").split("\0")[:-1]
    assert words[-2:] == [f"/a path/{HOSTILE}/__main__.py", "suite.yaml"]


@pytest.mark.parametrize(
    ("variables", "ranks", "threads"),
    [
        ({}, 6, 1),
        ({"SLURM_CPUS_PER_TASK": "4"}, 4, 1),
        ({"SLURM_CPUS_PER_TASK": "4", "SLURM_GPUS_ON_NODE": "2"}, 2, 2),
        ({"SLURM_GPUS_ON_NODE": "0"}, 6, 1),
        ({"SLURM_GPUS_ON_NODE": "2", "HARNESS_NPROC": "1"}, 1, 6),
        ({"HARNESS_NPROC": "9"}, 9, 1),
    ],
)
def test_ranks_and_threads_follow_the_nodes(
    job: Job, variables: dict[str, str], ranks: int, threads: int
) -> None:
    assert f"ranks a node {ranks}, threads a rank {threads}\n" in job("suite.yaml", **variables).stdout
    has_count = "SLURM_CPUS_PER_TASK" in variables
    assert ("--cpus-per-task=4" in Path("srun").read_text(encoding="utf-8").split("\0")) is has_count


@pytest.mark.parametrize(
    ("doing", "code"),
    [
        ("exit 3", 3),
        ("printf 1 >$HARNESS_JOB_FILES.outcome; exit 0", 1),
        ("printf 0 >$HARNESS_JOB_FILES.outcome; exit 1", 0),
        ("printf 130 >$HARNESS_JOB_FILES.outcome; exit 1", 130),
        ("printf '$(touch pwned)' >$HARNESS_JOB_FILES.outcome; exit 5", 5),
    ],
)
def test_the_script_leaves_with_what_the_harness_says(job: Job, doing: str, code: int) -> None:
    quoted = doing.replace("$HARNESS_JOB_FILES.outcome", '"$HARNESS_JOB_FILES.outcome"')
    assert job("suite.yaml", DOING=quoted).returncode == code
    assert {path.name for path in Path("results/.jobs").iterdir()} == set()
    assert not Path("scontrol").exists()


NOTICED = """\
kill -USR2 $PPID
until [ -e "$HARNESS_JOB_FILES.stop" ]; do sleep 0.01; done
printf unfinished >"$HARNESS_JOB_FILES.outcome"
"""


def test_a_notice_becomes_a_stop_file_and_the_job_is_queued_again(job: Job) -> None:
    done = job("suite.yaml", DOING=NOTICED, SLURM_RESTART_COUNT="2")
    assert done.returncode == 0, done.stderr
    assert told()["HARNESS_JOB_FILES"].endswith("/7.2")
    assert Path("scontrol").read_text(encoding="utf-8") == "requeue 7\n"
    assert not list(Path("results/.jobs").iterdir())


@pytest.mark.parametrize(("when", "code"), [("2026-11-24T23:55:32", 0), ("None", 143)])
def test_a_job_that_is_preempted_by_sigterm_is_queued_again(job: Job, when: str, code: int) -> None:
    shown = f"   JobState=RUNNING\n   PreemptEligibleTime=2026-11-24T23:55:29 PreemptTime={when}"
    assert job("suite.yaml", DOING="exit 143", SHOWN=shown).returncode == code
    assert Path("scontrol").exists() is (code == 0)


def test_the_suites_of_the_first_start_are_kept_until_the_job_has_ended(job: Job) -> None:
    kept = Path("results/.jobs/7.suites.json")
    kept.parent.mkdir(parents=True)
    kept.write_text("of an earlier job of that number", encoding="utf-8")
    writing = '[ -e "$HARNESS_JOB_SUITES" ] && exit 9; printf new >"$HARNESS_JOB_SUITES"; '
    assert job("suite.yaml", DOING=writing + NOTICED).returncode == 0
    assert kept.read_text(encoding="utf-8") == "new"
    reading = '[ "$(cat "$HARNESS_JOB_SUITES")" = new ] || exit 9; exit 4'
    assert job("suite.yaml", DOING=reading, SLURM_RESTART_COUNT="1").returncode == 4
    assert not kept.exists()


def test_one_job_of_an_array_is_queued_again_alone(job: Job) -> None:
    job("suite.yaml", DOING=NOTICED, SLURM_ARRAY_JOB_ID="7", SLURM_ARRAY_TASK_ID="2")
    assert Path("scontrol").read_text(encoding="utf-8") == "requeue 7_2\n"


def test_a_cluster_that_does_not_queue_again_fails_the_job(job: Job, tmp_path: Path) -> None:
    program(tmp_path / "bin" / "scontrol", "#!/bin/bash\nexit 1\n")
    done = job("suite.yaml", DOING=NOTICED)
    assert done.returncode == 1
    assert "submit the same once more, it goes on from here" in done.stderr


def test_what_an_earlier_start_left_behind_stops_nothing(job: Job) -> None:
    folder = Path("results/.jobs")
    folder.mkdir(parents=True)
    for name in ("7.0.stop", "7.1.stop", "7.1.outcome"):
        (folder / name).write_text("unfinished", encoding="utf-8")
    seen = '[ -e "$HARNESS_JOB_FILES.stop" ] && exit 9; exit 4'
    assert job("suite.yaml", DOING=seen, SLURM_RESTART_COUNT="1").returncode == 4
    assert not Path("scontrol").exists()


def test_a_site_s_own_lines_come_first(job: Job) -> None:
    Path("site.sh").write_text("export OMP_NUM_THREADS=3 HARNESS_NPROC=2\nfalse\n", encoding="utf-8")
    assert (
        "ranks a node 2, threads a rank 3"
        in job("suite.yaml", HARNESS_SETUP=str(Path("site.sh").absolute())).stdout
    )
    done = job("suite.yaml", HARNESS_SETUP="missing")
    assert done.returncode == 2
    assert "HARNESS_SETUP: missing cannot be read" in done.stderr


def test_one_node_needs_no_name_and_several_do(job: Job, tmp_path: Path) -> None:
    program(
        tmp_path / "bin" / "python",
        f'#!/bin/bash\n[[ $* != *getaddrinfo* ]] || {{ echo n1; exit 1; }}\nexec {sys.executable} "$@"\n',
    )
    python = str(tmp_path / "bin" / "python")
    assert job("suite.yaml", HARNESS_PYTHON=python, SLURM_JOB_NUM_NODES="1").returncode == 0
    words = Path("srun").read_text(encoding="utf-8").split("\0")
    assert "--local-addr=127.0.0.1" in words
    assert [word for word in words if word.startswith("--rdzv-endpoint=127.0.0.1:")]
    done = job("suite.yaml", HARNESS_PYTHON=python)
    assert done.returncode == 2
    assert done.stderr == (
        "error: n1 cannot resolve its own name, by which the other nodes are to reach it\n"
    )


def test_a_report_needs_no_ranks(job: Job) -> None:
    done = job("report", "--results", "nowhere")
    assert done.returncode == 2
    assert "nowhere: there is no such folder of results" in done.stderr
    assert not Path("srun").exists()


def test_the_script_says_how_it_is_used(job: Job) -> None:
    assert job().returncode == 2
    assert "expected: sbatch [SBATCH OPTIONS]" in job("suite.yaml", SLURM_JOB_ID="").stderr


def test_a_signal_while_waiting_costs_no_exit_code(job: Job) -> None:
    noticed_twice = "kill -USR2 $PPID; sleep 0.1; kill -USR2 $PPID; sleep 0.1; exit 6"
    assert job("suite.yaml", DOING=noticed_twice).returncode == 6
