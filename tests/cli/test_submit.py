"""What is handed to sbatch, and what its one script makes of it; without a SLURM."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from harness.cli.main import app, main
from harness.cli.submit_options import written
from harness.config.loader import load_suite
from harness.results import provenance
from harness.results.estimates import PlannedTrial
from harness.runner.launch import slurm, slurm_options, slurm_time_limit
from harness.runner.launch.slurm_options import SlurmOptions
from tests.support import ROOT
from tests.support.golden import assert_golden

SUITE = """\
suite: small
title: A small suite
dataset: {name: kmnist_sample, resize: 8}
seeds: 2
common: {training: {epochs: 2, batch_size: 600, optimizer: {name: Adam, lr: 0.01}}}
experiments:
  mixer: {model: {name: patch_mixer, patch_size: 4, width: 12, hidden: [8]}}
  mlp: {model: {name: mlp, hidden: [16], dropout: 0.2}}
"""
HOSTILE = 'it\'s "one" $(touch pwned); `touch pwned` %j\n& two'
# Stands for sbatch: keeps what it was called with, then says what the test wants it to.
SBATCH = f"""\
#!{sys.executable}
import json, os, sys
with open(os.environ["CALLS"], "a") as file:
    file.write(json.dumps([sys.argv[1:], dict(os.environ)]) + "\\n")
number = len(open(os.environ["CALLS"]).readlines())
if number >= int(os.environ.get("REFUSED_FROM", "9")):
    sys.exit("sbatch: error: invalid partition specified: nope")
print(f"{{100 + number}};local")
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / HOSTILE
    (home / "bin").mkdir(parents=True)
    (home / "suite.yaml").write_text(SUITE, encoding="utf-8")
    monkeypatch.chdir(home)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    program(tmp_path / "bin" / "sbatch", SBATCH)


def program(path: Path, text: str) -> None:
    """Write a program that can be called."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs a command to its end and returns what it printed."""

    def run(*arguments: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["harness", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        assert left.value.code == code, printed
        return printed.out if code == 0 else printed.err

    return run


def calls() -> list[tuple[list[str], dict[str, str]]]:
    """Return the arguments and the environment of every call of sbatch."""
    path = Path(os.environ["CALLS"])
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [(arguments, env) for arguments, env in map(json.loads, lines)]


def defaults(text: str) -> Path:
    """Write a user's defaults file."""
    path = slurm_options.defaults_path(os.environ)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_dry_run_shows_the_argument_lists_and_does_nothing(harness: Callable[..., str]) -> None:
    here = Path.cwd()
    output = harness("submit", "suite.yaml", "--dry-run", "--nodes", "2", "--set", "training.epochs=3")
    words = shlex.split(output)
    second_start = words.index(words[0], 1)
    first, second = words[:second_start], words[second_start:]
    folder = str(here).replace("%", "%%") + "/results/.jobs"
    start = ["sbatch", "--parsable", "--export=ALL", "--requeue", "--open-mode=append"]
    name = next(each for each in first if each.startswith("--job-name=harness:small@"))
    changed = ["--set=training.epochs=3", f"--results={here}/results", f"{here}/suite.yaml"]
    exported = [f"HARNESS_PYTHON={sys.executable}", "HARNESS_SETUP=", "HARNESS_NPROC="]
    exported += [f"HARNESS_JOBS={here}/results/.jobs", f"HARNESS_CODE={provenance.code_hash()}"]
    script = str(ROOT / "harness" / "runner" / "launch" / "run.sbatch")
    log = f"--output={folder}/%j.log"
    assert first == [*exported, *start, name, log, "--nodes=2", script, "run", *changed]
    after = ["--dependency=afterany:JOB", "--nodes=1", "--ntasks=1", "--time=15"]
    assert second == [*exported, *start, f"{name}:report", log, *after, script, "report", *changed]
    assert not calls()
    assert {path.name for path in here.iterdir()} == {"suite.yaml", "bin"}


def test_names_stay_text_all_the_way_to_sbatch(harness: Callable[..., str], tmp_path: Path) -> None:
    Path(HOSTILE).mkdir()
    suite, setup = Path(HOSTILE) / "-s.yaml", Path(HOSTILE) / "setup"
    suite.write_text(SUITE, encoding="utf-8")
    setup.touch()
    values = ["--partition", HOSTILE, "--setup", str(setup), "--sbatch-arg", HOSTILE, "--data-dir", HOSTILE]
    harness("submit", str(suite), "--results", f"{HOSTILE}/results", *values)
    (first, env), (second, _) = calls()
    here = Path.cwd() / HOSTILE
    assert f"--partition={HOSTILE}" in first
    assert first[first.index(str(slurm.SCRIPT)) - 1] == HOSTILE
    assert f"--partition={HOSTILE}" in second
    expected = ["run", f"--results={here}/results", f"--data-dir={here}", f"{here}/-s.yaml"]
    assert first[first.index(str(slurm.SCRIPT)) + 1 :] == expected
    assert env["HARNESS_SETUP"] == f"{here}/setup"
    assert env["HARNESS_JOBS"] == f"{here}/results/.jobs"
    assert not list(tmp_path.rglob("pwned"))


def test_a_submission_says_what_follows(harness: Callable[..., str], tmp_path: Path) -> None:
    own = ["--gpus-per-node", "4", "--mail-user", "me@here.org", "--time", "1:00:00", "--nproc", "8"]
    output = harness("submit", "suite.yaml", "--nodes", "2", "--results", str(tmp_path / "r"), *own)
    assert_golden("submit/job.txt", output.replace(str(tmp_path), "/home/me"))
    (first, env), (second, _) = calls()
    assert [each for each in first if each.startswith(("--mail", "--time", "--gpus"))] == [
        "--gpus-per-node=4",
        "--time=1:00:00",
        "--mail-user=me@here.org",
        "--mail-type=END,FAIL",
    ]
    assert env["HARNESS_NPROC"] == "8"
    assert "--dependency=afterany:101" in second
    assert not [each for each in second if "gpus" in each or "mail" in each]
    assert (tmp_path / "r" / ".jobs" / ".gitignore").read_text(encoding="utf-8") == "*\n"


def test_the_jobs_of_an_array_share_the_trials(harness: Callable[..., str], tmp_path: Path) -> None:
    output = harness("submit", "suite.yaml", "--array", "3", "--results", str(tmp_path / "r"))
    assert_golden("submit/array.txt", output.replace(str(tmp_path), "/home/me"))
    (first, _), (second, _) = calls()
    assert "--array=0-2" in first
    assert "--no-wait" in first
    assert f"--output={tmp_path}/r/.jobs/%A_%a.log" in first
    assert "--dependency=afterany:101" in second


def test_what_sbatch_says_is_told_and_nothing_else(
    harness: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFUSED_FROM", "1")
    error = "error: sbatch: error: invalid partition specified: nope\n"
    assert harness("submit", "suite.yaml", code=2).endswith(error)
    assert len(calls()) == 1


def test_a_report_that_is_refused_is_no_secret(
    harness: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFUSED_FROM", "2")
    told = harness("submit", "suite.yaml", code=2)
    assert "invalid partition specified: nope\njob 101 is submitted and will train, but not" in told
    assert shlex.split(told.partition("written by: ")[2])[:2] == ["harness", "report"]


def test_without_sbatch_only_a_dry_run_works(
    harness: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert "sbatch: no such program here" in harness("submit", "suite.yaml", code=2)
    assert "sbatch --parsable" in harness("submit", "suite.yaml", "--dry-run")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.yaml"], "missing.yaml: cannot be read"),
        (["suite.yaml", "--only", "mixr"], "did you mean 'mixer'?"),
        (["suite.yaml", "--nodes", "0"], "--nodes"),
        (["suite.yaml", "--setup", "missing"], "expected a file that the job can source"),
        (["suite.yaml", "--results", "a\\b"], "expected no backslash"),
    ],
)
def test_a_mistake_submits_nothing(harness: Callable[..., str], arguments: list[str], said: str) -> None:
    assert said in harness("submit", *arguments, code=2)
    assert not calls()


def test_defaults_are_the_users_own_and_options_win(harness: Callable[..., str]) -> None:
    path = defaults(
        "slurm:\n  partition: gpu\n  account: 123\n  gpus_per_node: 4\n  time: '2:00:00'\n"
        "  setup: site.sh\n  sbatch_arg: [--exclusive]\n"
    )
    (path.parent / "site.sh").touch()
    harness("submit", "suite.yaml", "--partition", "other", "--gpus-per-node", "0", "--sbatch-arg=--nice")
    (first, env), _ = calls()
    placed = ["--partition=other", "--account=123", "--nodes=1", "--time=2:00:00", "--exclusive", "--nice"]
    assert [each for each in first if each in placed or "gpus" in each] == placed
    assert env["HARNESS_SETUP"] == str(path.parent / "site.sh")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "slurm: {gpus-per-node: 4}",
            ":1: slurm.gpus-per-node: unknown key 'gpus-per-node'; did you mean 'gpus_per_node'?",
        ),
        ("partition: gpu", ":1: partition: unknown key 'partition'; known: slurm"),
        ("slurm:\n  nodes: two", ":2: slurm.nodes: found 'two', expected a whole number"),
        ("slurm:\n  time: 1:30:00", "which YAML 1.1 reads in base 60; write '1:30:00'"),
        ("- gpu", ":1: found ['gpu'], expected the key `slurm:` and options under it"),
        ("slurm: [", "not YAML"),
    ],
)
def test_a_mistake_in_the_defaults_is_told(harness: Callable[..., str], text: str, said: str) -> None:
    path = defaults(text)
    told = harness("submit", "suite.yaml", "--dry-run", code=2)
    assert said in told
    assert str(path) in told


def test_defaults_stand_where_configurations_do() -> None:
    assert slurm_options.defaults_path({}) == Path.home() / ".config" / "harness" / "slurm.yaml"
    assert slurm_options.defaults_path({"XDG_CONFIG_HOME": "/x"}) == Path("/x/harness/slurm.yaml")
    assert slurm_options.options({}, {"XDG_CONFIG_HOME": "/nowhere"}) == SlurmOptions()


def test_a_time_limit_is_suggested_from_estimates() -> None:
    trial = next(load_suite(Path("suite.yaml")).trials())

    def suggested(*seconds: float | None, **options: Any) -> tuple[str | None, str | None]:
        planned = [PlannedTrial(trial, "left", each) for each in seconds]
        found, said = slurm_time_limit.with_time(SlurmOptions(**options), planned, 3)
        return found.time, said

    said = "--time 25, in minutes: estimates are 3 h 00 min on one rank, for 24 in all"
    assert suggested(3600.0, 7200.0, nodes=2, gpus_per_node=4) == ("25", said)
    assert suggested(3600.0, 7201.0, nodes=2, gpus_per_node=4)[0] == "30"
    assert suggested(60.0, nodes=2, nproc=4, gpus_per_node=1)[0] == "15"
    assert suggested(60.0, time="9") == ("9", None)
    unknown = "--time is left out: nothing measured tells how long this takes"
    assert suggested(60.0, None) == (None, unknown)


def test_every_option_of_run_can_be_submitted_and_arrives(harness: Callable[..., str]) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    run, submit = ({each.name: each for each in commands[name].params} for name in ("run", "submit"))
    torchruns = {"nproc", "max_restarts"}
    assert run.keys() - torchruns <= submit.keys()
    options = ["--only", "mlp", "--only", "mixer", "--seeds", "1,2", "--set", "training.epochs=3"]
    options += ["--device", "cpu", "--placement", "ddp", "--engine", "eager", "--no-calibrate"]
    options += ["--timeout", "5", "--retry-diverged", "--trials-per-device", "2"]
    options += ["--log", "tensorboard", "--log", "own.tracker:opens"]
    harness("submit", "suite.yaml", *options)
    (first, _), _ = calls()
    arguments = first[first.index(str(slurm.SCRIPT)) + 2 :]
    before = commands["run"].make_context("run", ["suite.yaml", *options]).params
    after = commands["run"].make_context("run", list(arguments)).params
    changed = {"suites": Path("suite.yaml").absolute(), "results": Path("results").absolute()}
    assert [Path(each) for each in after.pop("suites")] == [changed["suites"]]
    assert Path(after.pop("results")) == changed["results"]
    assert {str(value) for value in before.items()} >= {str(value) for value in after.items()}


def test_what_is_at_its_default_is_not_written() -> None:
    parameters = typer.main.get_command(app).commands["run"].params  # type: ignore[attr-defined]
    assert written(parameters, {"suites": [Path("/a")], "results": Path("/r"), "calibrate": True}) == [
        "--results=/r",
        "/a",
    ]


def test_the_code_of_a_users_own_model_counts(harness: Callable[..., str]) -> None:
    Path("own_model.py").write_text("def build(shape, classes): ...\n", encoding="utf-8")
    text = SUITE.replace("experiments:\n", "experiments:\n  own: {model: {name: 'own_model:build'}}\n")
    Path("suite.yaml").write_text(text, encoding="utf-8")
    harness("submit", "suite.yaml")
    harness("submit", "suite.yaml", "--only", "mlp")
    harness("submit", "suite.yaml", "--allow-changed-code")
    hashes = [env["HARNESS_CODE"] for _, env in calls()][::2]
    assert hashes == [provenance.code_hash([Path("own_model.py")]), provenance.code_hash(), ""]


def test_nothing_is_submitted_where_nothing_is_left(
    harness: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm_time_limit, "left", lambda *_, **__: [])
    assert not harness("submit", "suite.yaml")
    assert not calls()


def test_variables_of_a_job_around_it_do_not_leak(
    harness: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SLURM_JOB_ID", "SLURM_RESTART_COUNT", "SLURM_CPUS_PER_TASK", "SLURM_CONF"):
        monkeypatch.setenv(name, "1")
    harness("submit", "suite.yaml")
    assert {name for name in calls()[0][1] if name.startswith("SLURM_")} == {"SLURM_CONF"}


# Stands for srun: keeps its arguments and what its job is told, does what the test says, ends with a code.
SRUN = """\
#!/bin/bash
printf '%s\\0' "$@" >srun
env -0 >environment
eval "$DOING"
"""


# Stands for scontrol: says of a job what the test wants it to, keeps what else it is called with.
SCONTROL = """\
#!/bin/bash
if [ "$1" = show ]; then printf '%s\n' "$SHOWN"; else echo "$@" >>scontrol; fi
"""


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
    assert [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=6"] == words[6:11]
    assert "--rdzv-id=7.0" in words
    assert "--cpu-bind=none" in words
    env = told()
    assert env["HARNESS_JOB_FILES"] == f"{Path.cwd()}/results/.jobs/7.0"
    assert (env["OMP_NUM_THREADS"], env["MALLOC_TRIM_THRESHOLD_"]) == ("1", str(2**32))


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
