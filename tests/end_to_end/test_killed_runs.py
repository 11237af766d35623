"""Runs whose ranks, node or launcher are killed, or that their job stops, and what they find after that."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.support import fault_models
from tests.support.runs import (
    LONG,
    ONE_TRIAL,
    TORCHRUN,
    assert_equal,
    figures,
    files,
    name_of_record,
    records,
    run,
    start,
    start_anew,
    start_long,
    undisturbed,
    workers,
)

pytestmark = pytest.mark.usefixtures("small_suite")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> dict[str, list[float]]:
    """Return what two ranks find in the long suite when nothing disturbs them."""
    return undisturbed(tmp_path_factory.mktemp("whole"), cache, LONG, "--nproc", "2", "--placement", "ddp")


def test_when_a_rank_is_killed_all_start_again_and_go_on(whole: dict[str, list[float]]) -> None:
    process = start_long("--nproc", "2", "--placement", "ddp")
    Path("suite.yaml").write_text(LONG.replace("lr: 0.01", "lr: 0.5"), encoding="utf-8")
    os.kill(workers(process)[-1], signal.SIGKILL)
    fault_models.SLOW.unlink()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert output.count("suite.yaml has been edited: this run trains and reports small as it was") == 1
    Path("suite.yaml").write_text(LONG, encoding="utf-8")
    assert "it goes on from its last checkpoint (1 of 3)" in output
    assert "epoch 1/12" not in output
    assert_equal(figures(), whole)
    (record,) = records().values()
    assert [attempt.status for attempt in record.attempts] == ["killed"]
    assert files() == [name_of_record(), "suite.json"]


def test_a_killed_run_goes_on_with_another_world_size(whole: dict[str, list[float]]) -> None:
    process = start_long("--nproc", "2", "--placement", "ddp", "--max-restarts", "0")
    for pid in workers(process):
        os.kill(pid, signal.SIGKILL)
    fault_models.SLOW.unlink()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "was ended by SIGKILL" in output
    assert "the same command goes on from its trial's last checkpoint" in output
    assert not records()
    resumed = run("suite.yaml", "--nproc", "3", "--placement", "ddp")
    assert "taken over from process" in resumed
    assert "epoch 1/12" not in resumed
    assert_equal(figures(), whole)
    assert files() == [name_of_record(), "suite.json"]


def test_killing_the_launcher_leaves_no_worker(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(folder / "temporary"))
    process = start_long("--nproc", "2", "--placement", "ddp", timeless=True, anew=True)
    pids = workers(process)
    assert len(pids) == 2
    process.kill()
    process.communicate(timeout=120)  # returns when nobody holds the pipe any more: all ranks have ended
    assert not [pid for pid in pids if _is_ours(pid)]
    assert not list((folder / "temporary").glob("harness-*/*.json"))  # the suites that they were to train


def test_ranks_whose_launcher_is_killed_as_they_start_wait_for_nothing(folder: Path) -> None:
    Path("suite.yaml").write_text(ONE_TRIAL, encoding="utf-8")
    process, deadline = start_anew("suite.yaml", "--nproc", "2"), time.monotonic() + 120
    while len(pids := workers(process)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.communicate(timeout=60)
    assert not [pid for pid in pids if _is_ours(pid)]


def _is_ours(pid: int) -> bool:
    try:
        return b"suite.yaml" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_a_run_that_is_asked_to_stop_by_its_job_leaves_in_order(
    whole: dict[str, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_JOB_FILES", "17.0")
    Path("17.1.stop").touch()  # that of another start stops nothing
    process = start_long("--nproc", "2", "--placement", "ddp")
    Path("17.0.stop").touch()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert f"stopping (asked by {Path('17.0.stop').resolve()}): states are saved first" in output
    assert Path("17.0.outcome").read_text(encoding="utf-8") == "unfinished\n"
    Path("17.1.stop").unlink()
    fault_models.SLOW.unlink()
    monkeypatch.setenv("HARNESS_JOB_FILES", "17.1")
    assert "epoch 1/12" not in run("suite.yaml", "--nproc", "2", "--placement", "ddp")
    assert Path("17.1.outcome").read_text(encoding="utf-8") == "0\n"
    assert figures() == whole


def test_a_rank_that_is_killed_on_one_of_two_nodes_is_replaced(whole: dict[str, list[float]]) -> None:
    Path("suite.yaml").write_text(LONG, encoding="utf-8")
    fault_models.SLOW.touch()
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    node = ["--nnodes=2", "--nproc-per-node=1", "--max-restarts=3", "--rdzv-backend=c10d", "--rdzv-id=17"]
    node += [f"--rdzv-endpoint=localhost:{port}", "-m", "harness", "suite.yaml", "--placement", "ddp"]
    nodes = [start(*node, starter=TORCHRUN) for _ in range(2)]
    folder, deadline = Path("results/small/mixer"), time.monotonic() + 120
    while not list(folder.glob("*.checkpoint-2")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (lease,) = folder.glob("*.claim-1")
    owner = json.loads(lease.read_text(encoding="utf-8").partition("\n")[0])["process"]
    (victim,) = {pid for process in nodes for pid in workers(process)} - {owner}
    Path("suite.yaml").write_text("no suite: any more", encoding="utf-8")
    os.kill(victim, signal.SIGKILL)
    fault_models.SLOW.unlink()
    outputs = [process.communicate(timeout=200)[0] for process in nodes]
    assert [process.returncode for process in nodes] == [0, 0], outputs
    assert "it goes on from its last checkpoint (1 of 3)" in "".join(outputs)
    assert "suite.yaml has been edited: this run trains and reports small as it was" in "".join(outputs)
    assert_equal(figures(), whole)
