"""Whole runs, as users start them: placements, faults, interruptions. They take some seconds each."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from harness.config.loader import load_suite
from harness.results import provenance
from harness.results.atomic_files import write_whole
from harness.results.store import Store
from tests.support import ROOT, fault_models, forks
from tests.support.runs import (
    LONG,
    ONE_TRIAL,
    SUITE,
    TORCHRUN,
    assert_equal,
    figures,
    files,
    name_of_record,
    records,
    run,
    start,
    table,
    torchrun,
    wait_for,
    workers,
)


@pytest.fixture(autouse=True)
def _suite(folder: Path) -> None:
    (folder / "suite.yaml").write_text(SUITE, encoding="utf-8")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    """Return what two ranks find in the long suite when nothing disturbs them."""
    with contextlib.chdir(tmp_path_factory.mktemp("whole")), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        Path("suite.yaml").write_text(LONG, encoding="utf-8")
        run("suite.yaml", "--nproc", "2", "--placement", "ddp")
        return figures()


def test_results_call_for_more_seeds_within_a_run() -> None:
    rule = "seeds: {half_width_points: 0.001, at_least: 2, at_most: 4}"
    Path("suite.yaml").write_text(SUITE.replace("seeds: 2", rule).partition("  mlp")[0], encoding="utf-8")
    output = run("run", "suite.yaml", "--nproc", "2", "--no-calibrate")
    assert output.count(": done, test") == 4
    assert "the cap is 4" in output
    assert "2 ranks" in output
    assert run("run", "suite.yaml", "--nproc", "2").count(": done, test") == 0


def test_spread_ddp_and_torchrun_find_the_same() -> None:
    spread = run("suite.yaml", "--nproc", "2", "--no-calibrate", "--results", "spread")
    assert "placement: spread, because 4 trials remain for 2 ranks" in spread
    ddp = run("run", "suite.yaml", "--nproc", "3", "--placement", "ddp", "--results", "ddp")
    arguments = ["--standalone", "--nproc_per_node=2", "-m", "harness", "suite.yaml", "--results", "bare"]
    bare = torchrun(*arguments, "--placement", "ddp")
    expected = figures("spread")
    assert len(expected) == 4
    for folder, output in (("spread", spread), ("ddp", ddp), ("bare", bare)):
        assert_equal(figures(folder), expected)
        lines = [line for line in output.splitlines() if ": epoch " in line]
        assert (
            len(lines) == len({line.split("  ")[0] for line in lines}) == 8
        )  # each epoch of each trial once
        assert table(folder) in output
    shapes = {(record.hardware.placement, record.hardware.world_size) for record in records("ddp").values()}
    assert shapes == {("ddp", 3)}
    again = run("suite.yaml", "--results", "spread")
    assert ": epoch " not in again
    assert table("spread") in again


def test_auto_measures_every_way_once_and_says_what_it_chose() -> None:
    arguments = ["suite.yaml", "--nproc", "2", "--set", "training.batch_size=500"]
    output = run(*arguments, "--results", "first")
    assert output.count("measuring 2 ways to execute 2 kinds of trials") == 1
    assert re.search(r"placement: \w+, measured \d+\.\d\d times as fast as \w+ \(4 trials, 2 ranks\)", output)
    again = run(*arguments, "--results", "second")
    assert "measuring" not in again
    assert "times as fast as" in again
    plan = run("plan", *arguments[:1], *arguments[3:], "--results", "third")
    assert re.search(r"4 of 4 trials left: \d+ s on one rank\n", plan)


def test_what_cannot_be_measured_is_trained_by_the_rule() -> None:
    failing_suite("raises_on_rank_one")
    code, output = forks.harness(["suite.yaml", "--nproc", "2", "--only", "raises_on_rank_one"], seconds=300)
    assert output.count("nothing is measured: ArithmeticError: a made-up failure in rank 1") == 1
    assert "placement: spread, because 1 trial is fewer than 2 ranks, and ddp is estimated to" in output
    (record,) = records().values()  # of whichever rank was the first to take it
    assert code == (record.status == "failed"), output
    assert record.hardware.world_size == 1


def start_long(*arguments: str, timeless: bool = False) -> subprocess.Popen[str]:
    """Start the long suite, or one that never ends; return its run when its second epoch is over."""
    text = LONG.replace("epochs: 12", "epochs: 100000") if timeless else LONG
    Path("suite.yaml").write_text(text, encoding="utf-8")
    fault_models.SLOW.touch()
    process = start("suite.yaml", *arguments)
    wait_for(process, "epoch 2/")
    return process


def test_when_a_rank_is_killed_all_start_again_and_go_on(whole: dict[str, list[float]]) -> None:
    process = start_long("--nproc", "2", "--placement", "ddp")
    os.kill(workers(process)[-1], signal.SIGKILL)
    fault_models.SLOW.unlink()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
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


def test_killing_the_launcher_leaves_no_worker() -> None:
    process = start_long("--nproc", "2", "--placement", "ddp", timeless=True)
    pids = workers(process)
    assert len(pids) == 2
    process.kill()
    process.communicate(timeout=120)  # returns when nobody holds the pipe any more: all ranks have ended
    assert not [pid for pid in pids if Path(f"/proc/{pid}/cmdline").exists() and _is_ours(pid)]


def _is_ours(pid: int) -> bool:
    try:
        return b"suite.yaml" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_an_interrupted_run_saves_where_it_is_and_goes_on() -> None:
    process = start_long("--nproc", "2", "--placement", "ddp")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "interrupted by SIGINT: everything finished is saved" in output
    assert "Traceback" not in output
    assert [name.split(".")[-1] for name in files()[:2]] == ["checkpoint-1", "checkpoint-2"]
    fault_models.SLOW.unlink()
    resumed = run("suite.yaml")
    assert "epoch 1/12" not in resumed
    assert "taken over" not in resumed  # the claim was given up


def test_a_run_that_is_asked_to_stop_by_its_job_leaves_in_order(
    whole: dict[str, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_JOB_FILES", "17.0")
    Path("17.1.stop").touch()  # that of another start stops nothing
    process = start_long("--nproc", "2", "--placement", "ddp")
    Path("17.0.stop").touch()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "stopping (asked by 17.0.stop): states are saved first" in output
    assert Path("17.0.outcome").read_text(encoding="utf-8") == "unfinished\n"
    Path("17.1.stop").unlink()
    fault_models.SLOW.unlink()
    monkeypatch.setenv("HARNESS_JOB_FILES", "17.1")
    assert "epoch 1/12" not in run("suite.yaml", "--nproc", "2", "--placement", "ddp")
    assert Path("17.1.outcome").read_text(encoding="utf-8") == "0\n"
    assert figures() == whole


def test_two_runs_share_the_trials_of_a_suite() -> None:
    Path("suite.yaml").write_text(
        LONG.replace("seeds: 1", "seeds: 4").replace("epochs: 12", "epochs: 4"), encoding="utf-8"
    )
    run("suite.yaml", "--nproc", "2", "--no-calibrate", "--results", "whole")
    fault_models.SLOW.touch()
    both = [start("suite.yaml", "--nproc", "1", "--no-calibrate") for _ in range(2)]
    deadline = time.monotonic() + 120
    while len(list(Path("results").glob("*/*/*.claim-1"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    fault_models.SLOW.unlink()
    outputs = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    done = [
        line.partition(": done")[0] for output in outputs for line in output.splitlines() if ": done" in line
    ]
    assert len(done) == len(set(done)) == 4
    assert all(": done" in output for output in outputs)
    assert_equal(figures(), figures("whole"))
    assert table() in outputs[-1]
    assert "(4)" in table()
    assert not [name for name in files() if "claim" in name]


@pytest.mark.parametrize("placement", ["ddp", "spread"])
def test_a_trial_that_kills_its_workers_is_set_aside(placement: str) -> None:
    failing_suite("kills")
    output = run("suite.yaml", "--nproc", "2", "--placement", placement, code=1)
    assert "small/kills/seed-1: set aside as failed, 3 workers were ended while they trained it" in output
    found = records()
    assert {name: record.status for name, record in found.items()} == {
        "kills 1": "failed",
        "mixer 1": "done",
        "mlp 1": "done",
    }
    assert [attempt.status for attempt in found["kills 1"].attempts] == ["killed"] * 3 + ["failed"]


def failing_suite(*names: str) -> None:
    """Write a suite whose first experiments are models of ours that go wrong."""
    bad = "".join(f"  {name}: {{model: {{name: 'tests.support.own_models:{name}'}}}}\n" for name in names)
    text = SUITE.replace("seeds: 2", "seeds: 1").replace("experiments:\n", f"experiments:\n{bad}")
    Path("suite.yaml").write_text(text, encoding="utf-8")


def test_a_trial_that_fails_on_one_rank_is_recorded_and_the_others_go_on() -> None:
    failing_suite("raises_on_rank_one")
    output = run("suite.yaml", "--nproc", "3", "--placement", "ddp", code=1)
    assert "small/raises_on_rank_one/seed-1: failed, ArithmeticError: a made-up failure in rank 1" in output
    found = records()
    assert {name: record.status for name, record in found.items()} == {
        "mixer 1": "done",
        "mlp 1": "done",
        "raises_on_rank_one 1": "failed",
    }
    failed = found["raises_on_rank_one 1"]
    assert "Traceback" in failed.attempts[0].error
    assert failed.hardware.world_size == 3
    assert "failed: seed 1" in (Path("results") / "small" / "table.md").read_text(encoding="utf-8")
    assert output.count("small/mlp/seed-1: done") == 1
    run("suite.yaml", "--nproc", "1")  # rank 1 is not there now: the retry succeeds
    retried = records()["raises_on_rank_one 1"]
    assert retried.status == "done"
    assert [attempt.status for attempt in retried.attempts] == ["failed"]


def test_a_trial_that_fails_under_spread_takes_no_other_with_it() -> None:
    failing_suite("raises")
    output = run("suite.yaml", "--nproc", "2", "--placement", "spread", code=1)
    statuses = {name: record.status for name, record in records().items()}
    assert statuses == {"mixer 1": "done", "mlp 1": "done", "raises 1": "failed"}
    assert output.count(": failed, ArithmeticError: a made-up failure") == 1


def one_experiment(name: str) -> None:
    """Write a suite of a model of ours that has its difficulties, with four seeds."""
    text = ONE_TRIAL.replace(
        "{name: patch_mixer, patch_size: 4, width: 12, hidden: [8]}", f"{{name: '{name}'}}"
    )
    Path("suite.yaml").write_text(text.replace("seeds: 1", "seeds: 4"), encoding="utf-8")


def test_trials_that_lack_memory_side_by_side_are_trained_by_fewer_at_once() -> None:
    one_experiment("tests.support.fault_models:crowded")
    output = run("suite.yaml", "--nproc", "1", "--placement", "spread", "--trials-per-device", "4")
    said = "out of memory with 3 trials at once: it is trained later, with 2 at most"
    assert output.count(said) == 2  # of the third trial, and of the fourth, which had been taken already
    assert [(each.status, each.attempts) for each in records().values()] == [("done", [])] * 4
    assert {each.hardware.trials_per_device for each in records().values()} == {4, 2}


def processes() -> list[tuple[str, int]]:
    """Return how each trial of a rank was to be executed, and in which process since torchrun's start."""
    lines = [line.split() for line in Path("processes").read_text(encoding="utf-8").splitlines()]
    return [(engine, int(generation)) for engine, generation in lines]


def test_after_a_capture_that_broke_the_next_trial_has_a_process_of_its_own() -> None:
    one_experiment("tests.support.fault_models:unrecordable")
    output = run("suite.yaml", "--nproc", "1", "--no-calibrate")
    said = "engine: eager, because this trial cannot be captured: a made-up break"
    assert output.count(said) == 1
    assert [(each.status, each.hardware.engine) for each in records().values()] == [("done", "eager")] * 4
    assert processes() == [("None", 0), ("eager", 1), ("eager", 1), ("eager", 1)]


def test_ranks_go_on_eagerly_together_where_one_cannot_capture() -> None:
    one_experiment("tests.support.fault_models:unrecordable")
    output = run("suite.yaml", "--nproc", "2", "--placement", "ddp")
    assert output.count("engine: eager, because this trial cannot be captured: another rank cannot") == 1
    assert [(each.status, each.hardware.engine) for each in records().values()] == [("done", "eager")] * 4
    assert sorted(processes()) == [("None", 0)] * 2 + [("eager", 1)] * 8
    together = figures()
    run("suite.yaml", "--nproc", "1", "--engine", "eager", "--results", "alone")
    assert_equal(together, figures("alone"))


def test_a_rank_that_hangs_ends_in_a_recorded_failure() -> None:
    process = start_long("--nproc", "2", "--placement", "ddp", "--timeout", "4", timeless=True)
    hanging = workers(process)[-1]
    os.kill(hanging, signal.SIGSTOP)
    process.communicate(timeout=200)
    assert process.returncode == 1
    (record,) = records().values()
    assert record.status == "failed"
    assert "(--timeout)" in record.attempts[0].error


def test_a_diverged_trial_is_recorded_and_tried_again_only_when_asked() -> None:
    change = ["--set", "training.optimizer={name: SGD, lr: 1.0e+200}", "--only", "mixer", "--seeds", "1"]
    output = run("suite.yaml", *change, code=1)
    assert "diverged: seed 1" in output
    (record,) = records().values()
    assert (record.status, len(record.epochs), len(record.attempts)) == ("diverged", 1, 1)
    assert ": epoch " not in run("suite.yaml", *change, code=1)
    assert ": epoch 1/2" in run("suite.yaml", *change, "--retry-diverged", code=1)
    (record,) = records().values()
    assert len(record.attempts) == 2


def test_chosen_trials_are_trained_alone_and_leave_their_weights() -> None:
    output = run("suite.yaml", "--only", "mlp", "--seeds", "2", "--save-model")
    assert list(records()) == ["mlp 2"]
    assert len(list(Path("results").glob("small/mlp/seed-2-*.weights.pt"))) == 1
    assert "missing: seeds 1, 2" in output  # the table is that of the whole suite


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
    os.kill(victim, signal.SIGKILL)
    fault_models.SLOW.unlink()
    outputs = [process.communicate(timeout=200)[0] for process in nodes]
    assert [process.returncode for process in nodes] == [0, 0], outputs
    assert "it goes on from its last checkpoint (1 of 3)" in "".join(outputs)
    assert_equal(figures(), whole)


def test_an_unreadable_record_is_named_and_never_replaced() -> None:
    trial = next(load_suite(Path("suite.yaml")).trials())
    path = Store(Path("results")).record_path(trial)
    write_whole(path, b'{"status": "done", "cut')
    output = run("suite.yaml", "--seeds", "1", "--results", "results", code=1)
    assert f"{path}: unreadable record" in output
    assert "unreadable: seed 1" in output
    assert path.read_bytes() == b'{"status": "done", "cut'
    for command in ("status", "report"):
        assert f"{path}: unreadable record" in run(command, code=1)


def test_a_run_that_nobody_listens_to_goes_on() -> None:
    process = start("suite.yaml", "--nproc", "2")
    wait_for(process, "placement")
    assert process.stdout is not None
    process.stdout.close()
    process.wait(timeout=120)
    assert [record.status for record in records().values()] == ["done"] * 4
    assert (Path("results") / "small" / "table.md").is_file()


def test_under_torchrun_a_mistake_is_told_once() -> None:
    Path("suite.yaml").write_text(SUITE.replace("hidden: [8]", "hidden: []"), encoding="utf-8")
    arguments = ["--standalone", "--nproc_per_node=3", "-m", "harness", "suite.yaml"]
    output = torchrun(*arguments, code=1)
    assert output.count("expected a list with at least 1 item") == 1


def test_several_suites_share_a_run(tmp_path: Path) -> None:
    other = SUITE.replace("suite: small", "suite: other").replace("seeds: 2", "seeds: [5]")
    Path("other.yaml").write_text(other, encoding="utf-8")
    output = run("suite.yaml", "other.yaml", "--only", "mlp", "--nproc", "2", "--no-calibrate")
    assert "3 trials remain for 2 ranks" in output
    assert {path.parent.parent.name for path in Path("results").glob("*/*/seed-*.json")} == {"small", "other"}
    status: dict[str, Any] = dict(line.split(maxsplit=1) for line in run("status").splitlines())
    assert status["small"].split() == ["2", "0", "0", "2", "0", "0"]
    assert status["other"].split() == ["1", "0", "0", "1", "0", "0"]


def test_a_job_trains_with_the_code_that_was_submitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CODE", "0" * 64)
    monkeypatch.setenv("HARNESS_JOB_FILES", "17.0")
    output = run("suite.yaml", code=2)
    assert "the code that trains has changed since the job was submitted" in output
    arguments = ["--standalone", "--nproc_per_node=2", "--max-restarts=3", "-m", "harness", "suite.yaml"]
    output = torchrun(*arguments)  # a crash would be started again
    assert output.count("error: the code that trains has changed") == 1
    assert Path("17.0.outcome").read_text(encoding="utf-8") == "2\n"
    assert not records()
    monkeypatch.setenv("HARNESS_CODE", provenance.code_hash())
    run("suite.yaml", "--only", "mlp", "--seeds", "1")
