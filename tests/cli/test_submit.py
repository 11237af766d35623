"""What `submit` hands to sbatch and says of it; without a SLURM."""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.config.loader import load_suite
from harness.config.overrides import Assignment
from harness.results.user_code_hash import UserCodes, job_code
from harness.runner.launch import slurm, slurm_time_limit
from tests.support import ROOT
from tests.support.fake_slurm import HOSTILE, SUITE, calls
from tests.support.golden import assert_golden

pytestmark = pytest.mark.usefixtures("folder_with_sbatch")


def test_a_dry_run_shows_the_argument_lists_and_submits_nothing(harness: Callable[..., str]) -> None:
    here = Path.cwd()
    suite = load_suite(Path("suite.yaml"), [Assignment.parse("training.epochs=3")])
    code = job_code(suite.trials(), UserCodes())
    output = harness("submit", "suite.yaml", "--dry-run", "--nodes", "2", "--set", "training.epochs=3")
    words = shlex.split(output)
    second_start = words.index(words[0], 1)
    first, second = words[:second_start], words[second_start:]
    folder = str(here).replace("%", "%%") + "/results/.jobs"
    start = ["sbatch", "--parsable", "--export=ALL", "--requeue", "--open-mode=append"]
    name = next(each for each in first if each.startswith("--job-name=harness:small@"))
    results, small = f"--results={here}/results", name.rpartition(":")[2]
    (frozen,) = Path("results/.jobs").glob(f"{small}-*.json")
    entry = ROOT / "harness" / "__main__.py"
    exported = [
        f"HARNESS_PYTHON={sys.executable}",
        f"HARNESS_PROGRAM={entry}",
        "HARNESS_SETUP=",
        "HARNESS_NPROC=",
    ]
    exported += [f"HARNESS_JOBS={here}/results/.jobs", f"HARNESS_CODE={code}"]
    script = str(ROOT / "harness" / "runner" / "launch" / "run.sbatch")
    log = f"--output={folder}/%j.log"
    assert first == [*exported, *start, name, log, "--nodes=2", script, "run", results, f"{here}/{frozen}"]
    after = ["--dependency=afterany:JOB", "--nodes=1", "--ntasks=1", "--time=15"]
    assert second == [*exported, *start, f"{name}:report", log, *after, script, "report", results, small]
    assert not calls()
    assert {path.name for path in here.iterdir()} == {"suite.yaml", "bin", "results"}
    assert {path.name for path in frozen.parent.iterdir()} == {frozen.name, ".gitignore"}
    assert [each.settings.training.epochs for each in load_suite(frozen).trials()] == [3] * 4


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
    *options, frozen = first[first.index(str(slurm.SCRIPT)) + 1 :]
    assert options == ["run", f"--results={here}/results", f"--data-dir={here}"]
    assert Path(frozen).parent == here / "results/.jobs"
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


def test_a_job_is_given_the_suite_as_it_was(harness: Callable[..., str]) -> None:
    harness("submit", "suite.yaml", "--array", "2", "--set", "training.epochs=3")
    (first, _), _ = calls()
    frozen = load_suite(Path(first[-1]))
    Path("suite.yaml").write_text(SUITE.replace("lr: 0.01", "lr: 0.5"), encoding="utf-8")
    assert load_suite(Path(first[-1])) == frozen
    assert [each.training.optimizer.lr for each in frozen.experiments.values()] == [0.01, 0.01]
    assert (frozen.changed, frozen.folder) == (
        {"training.epochs": 3},
        Path(first[-1]).name[: len("small@") + 8],
    )
    harness("submit", "suite.yaml", "--set", "training.epochs=3")
    assert calls()[2][0][-1] != first[-1]


def test_a_suite_from_standard_input_is_submitted_whole(
    harness: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(SUITE.encode())))
    harness("submit", "-")
    assert load_suite(Path(calls()[0][0][-1])).folder == "small"


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


def test_the_code_of_a_users_own_model_counts(harness: Callable[..., str]) -> None:
    Path("own_model.py").write_text("def build(shape, classes): ...\n", encoding="utf-8")
    text = SUITE.replace("experiments:\n", "experiments:\n  own: {model: {name: 'own_model:build'}}\n")
    Path("suite.yaml").write_text(text, encoding="utf-8")
    harness("submit", "suite.yaml")
    harness("submit", "suite.yaml", "--only", "mlp")
    harness("submit", "suite.yaml", "--allow-changed-code")
    Path("own_model.py").write_text("def build(shape, classes): pass\n", encoding="utf-8")
    harness("submit", "suite.yaml")
    first, shipped, none, edited = [env["HARNESS_CODE"] for _, env in calls()][::2]
    assert none == ""
    assert len({first, shipped, edited}) == 3


def test_nothing_is_submitted_where_nothing_is_left(
    harness: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slurm_time_limit, "pending", lambda *_, **__: [])
    assert not harness("submit", "suite.yaml")
    assert not calls()


def test_variables_of_a_job_around_it_do_not_leak(
    harness: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SLURM_JOB_ID", "SLURM_RESTART_COUNT", "SLURM_CPUS_PER_TASK", "SLURM_CONF"):
        monkeypatch.setenv(name, "1")
    harness("submit", "suite.yaml")
    assert {name for name in calls()[0][1] if name.startswith("SLURM_")} == {"SLURM_CONF"}
