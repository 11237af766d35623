"""Jobs on a real SLURM of two nodes: they train, share, are stopped, lose a node, and report in the end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.results.record import Record
from tests.support import ROOT
from tests.support.fake_slurm import HOSTILE
from tests.support.runs import assert_equal, undisturbed
from tests.support.slurm_cluster import Cluster, cluster, eventually
from tests.support.slurm_user import LONG, SUITE, User

pytestmark = pytest.mark.slurm
__all__ = ["cluster"]


@pytest.fixture
def user(cluster: Cluster, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> User:
    """Return a user whose folder is empty but for a suite."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return User(cluster, tmp_path)


@pytest.fixture(scope="module")
def uninterrupted(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    """Train the long suite here, in one go."""
    return undisturbed(tmp_path_factory.mktemp("whole"), cache, LONG, "--nproc", "1")


def test_a_wrong_partition_is_told_in_sbatchs_own_words(user: User) -> None:
    output = user.harness("submit", "suite.yaml", "--partition", "nowhere", code=2)
    assert "error: sbatch: error: invalid partition specified: nowhere" in output
    assert "Invalid partition name specified" in output
    assert "Traceback" not in output


def test_hostile_names_arrive_as_they_are(user: User) -> None:
    folder = user.folder / HOSTILE
    folder.mkdir()
    user.write(SUITE, f"{HOSTILE}/-s.yaml")
    (folder / "setup").write_text('printf %s "$SLURM_GPUS_ON_NODE" >>gpus\n', encoding="utf-8")
    asked = ["--gpus-per-node", "2", "--device", "cpu", "--seeds", "1", "--setup", f"{HOSTILE}/setup"]
    training, report = user.submit(f"{HOSTILE}/-s.yaml", "--results", f"{HOSTILE}/results", *asked)
    user.ends(training)
    user.ends(report)
    assert list(user.records(f"{HOSTILE}/results")) == ["mlp 1"]
    assert (user.folder / "gpus").read_text(encoding="utf-8") == "2"
    logs = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("results/.jobs/*.log")}
    assert logs.keys() == {f"{training}.log", f"{report}.log"}
    assert "ranks a node 2" in logs[f"{training}.log"]
    assert not list(user.folder.rglob("pwned"))


def test_the_script_works_by_hand(user: User) -> None:
    script = str(ROOT / "slurm" / "run.sbatch")
    command = ["sbatch", "--parsable", "--nodes=1", "--time=10", script, "suite.yaml", "--seeds", "2"]
    job = user.call(*command, HARNESS_PYTHON=sys.executable).strip()
    user.ends(job)
    assert list(user.records()) == ["mlp 2"]


def test_a_job_on_two_nodes_is_preempted_and_goes_on_and_a_report_follows(
    user: User, uninterrupted: dict[str, list[float]]
) -> None:
    user.write(LONG)
    user.slow.touch()
    training, report = user.submit("suite.yaml", "--nodes", "2", "--placement", "ddp")
    eventually(lambda: user.epoch(3, training), 60, lambda: user.log(training))
    user.write("no suite: any more")
    urgent = ["--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=true"]
    user.call("sbatch", "--parsable", *urgent)
    user.starts_again(training, report)
    user.ends(training)
    user.ends(report)
    log = user.log(training)
    assert log.count(": epoch 1/40") == 1
    assert "stopped with trials left; queued again" in log
    for start in (0, 1):
        assert f"start {start}: nodes 2 (n[1-2]), ranks a node 1, threads a rank 1" in log
    assert [record.hardware.world_size for record in user.records().values()] == [2]
    assert_equal(user.figures(), uninterrupted)
    assert not [path for path in (user.folder / "results" / ".jobs").iterdir() if path.suffix == ".stop"]
    assert (user.folder / "results" / "small" / "table.md").is_file()
    assert "tables and figures, 0 changed" in user.log(report)  # the training has written them
    assert user.cluster.job(report)["StartTime"] >= user.cluster.job(training)["EndTime"]


def test_the_jobs_of_an_array_share_the_trials_and_the_stopped_one_is_queued_again(user: User) -> None:
    user.write(LONG.replace("seeds: 1", "seeds: 4"))
    user.slow.touch()
    training, report = user.submit("suite.yaml", "--array", "2", "--no-calibrate")
    jobs = [f"{training}_0", f"{training}_1"]  # the last one has the number of the whole array
    eventually(lambda: all(user.epoch(3, job) for job in jobs), 60, lambda: user.log(jobs[1]))
    user.call("scancel", "--signal=USR2", "--batch", jobs[1])
    user.starts_again(jobs[1], report)
    for job in jobs:
        user.ends(job)
    user.ends(report)
    assert "start 1: " not in user.log(jobs[0])
    records = user.records()
    assert [record.status for record in records.values()] == ["done"] * len(records)
    logs = "".join(map(user.log, jobs))
    assert len(records) == 4
    for seed in range(1, 5):
        assert logs.count(f"small/mlp/seed-{seed}: epoch 1/40") == 1
        assert logs.count(f"small/mlp/seed-{seed}: done") == 1


def test_a_job_that_loses_a_node_is_finished_after(user: User, uninterrupted: dict[str, list[float]]) -> None:
    user.write(LONG)
    user.slow.touch()
    training, report = user.submit("suite.yaml", "--nodes", "2", "--placement", "ddp")
    eventually(lambda: user.epoch(3, training), 60, lambda: user.log(training))
    user.cluster.lose_node("n2")
    eventually(lambda: user.cluster.job(training).get("Restarts") == "1", 60, user.cluster.logs)
    user.cluster.start_node("n2")
    user.starts_again(training, report)
    user.ends(training)
    user.ends(report)
    assert user.log(training).count(": epoch 1/40") == 1
    assert_equal(user.figures(), uninterrupted)


def test_a_suite_that_is_edited_while_its_job_queues_is_trained_as_it_was(user: User) -> None:
    held = ["suite.yaml", "--seeds", "1", "--set", "model.dropout=0.0", "--sbatch-arg=--hold"]
    training, report = user.submit(*held)
    user.write(SUITE.replace("lr: 0.01", "lr: 0.5").replace("A small", "An edited"))
    user.call("scontrol", "release", training)
    user.ends(training)
    user.ends(report)
    assert "suite.yaml has been edited: this run trains and reports small@" in user.log(training)
    (path,) = user.folder.glob("results/small@*/mlp/seed-1-*.json")
    settings = Record.from_json(path.read_text(encoding="utf-8")).settings
    assert (settings["training"]["optimizer"]["lr"], settings["model"]["dropout"]) == (0.01, 0.0)
    assert "A small suite" in (path.parents[1] / "table.md").read_text(encoding="utf-8")


def test_changed_code_ends_the_job_unless_it_is_allowed(user: User) -> None:
    user.write(SUITE.replace("{name: mlp, hidden: [16], dropout: 0.2}", "{name: 'own_model:build'}"))
    own = (
        "import math\nfrom torch import nn\n\n\ndef build(shape, classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), classes))\n"
    )
    (user.folder / "own_model.py").write_text(own, encoding="utf-8")
    held = ["suite.yaml", "--seeds", "1", "--sbatch-arg=--hold"]
    checked, report = user.submit(*held)
    allowed, _ = user.submit(*held, "--allow-changed-code")
    (user.folder / "own_model.py").write_text(own + "\n", encoding="utf-8")
    user.call("scontrol", "release", checked)
    user.ends(checked, "FAILED")
    assert user.cluster.job(checked)["ExitCode"] == "2:0"
    assert "--allow-changed-code" in user.log(checked)
    assert "Traceback" not in user.log(checked)
    user.ends(report, "FAILED")  # there is nothing to report yet
    user.call("scontrol", "release", allowed)
    user.ends(allowed)
