"""Runs as users start them: placements, several suites, two runs at once, more seeds, the code of a job."""

from __future__ import annotations

import os
import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from harness.config.loader import load_suite
from harness.config.suite import chosen
from harness.results.user_code_hash import UserCodes, job_code
from tests.support import ROOT, fault_models
from tests.support.runs import (
    LONG,
    SUITE,
    TORCHRUN,
    assert_equal,
    figures,
    files,
    records,
    run,
    start,
    start_anew,
    table,
    torchrun,
    wait_for,
)

pytestmark = pytest.mark.usefixtures("small_suite")


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


def test_chosen_trials_are_trained_alone_and_leave_their_weights() -> None:
    output = run("suite.yaml", "--only", "mlp", "--seeds", "2", "--save-model")
    assert list(records()) == ["mlp 2"]
    assert len(list(Path("results").glob("small/mlp/seed-2-*.weights.pt"))) == 1
    assert "missing: seeds 1, 2" in output  # the table is that of the whole suite


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
    arguments = ["--standalone", "--nproc_per_node=2", "-m", "harness", "suite.yaml"]
    process = start_anew(*arguments, starter=TORCHRUN)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1
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
    assert "the suite or the user's code has changed since the job was submitted" in output
    arguments = ["--standalone", "--nproc_per_node=2", "--max-restarts=3", "-m", "harness", "suite.yaml"]
    output = torchrun(*arguments)  # a crash would be started again
    assert output.count("error: the suite or the user's code has changed") == 1
    assert Path("17.0.outcome").read_text(encoding="utf-8") == "2\n"
    assert not records()
    trials = chosen([load_suite(Path("suite.yaml"))], ["mlp"], [1])
    monkeypatch.setenv("HARNESS_CODE", job_code(trials, UserCodes()))
    run("suite.yaml", "--only", "mlp", "--seeds", "1")


def test_a_suite_from_a_pipe_is_read_once_and_kept(folder: Path) -> None:
    pipe = folder / "pipe"  # absolute: this process may change its folder to start the other
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(SUITE.partition("  mlp")[0],))
    writer.start()
    run("run", "pipe", "--nproc", "1", "--no-calibrate", "--seeds", "1")
    writer.join()
    assert list(records()) == ["mixer 1"]
    run("results/small/suite.json", "--nproc", "1", "--no-calibrate")  # it is a suite as well
    assert list(records()) == ["mixer 1", "mixer 2"]


def test_ranks_that_cannot_even_import_are_not_started_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = """\
import os, sys, threading, time
if 'TORCHELASTIC_RUN_ID' in os.environ:
    sys.modules['torch'] = None
else:  # the launcher, whose ranks are no forks of it where it has threads
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
"""
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(hook, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'hook'}:{ROOT}")
    output = run("suite.yaml", "--nproc", "1", code=1)
    assert output.count("Traceback") == 2
    assert "error: the ranks ended before they trained, again and again: ModuleNotFoundError: imp" in output
