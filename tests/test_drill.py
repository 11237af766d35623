"""The drill: a trial that is broken off in any way leaves the record that it would have left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import suite_file
from harness.drill import Drill, Outcome, ways
from tests.test_run import HARNESS, SUITE


@pytest.mark.slow
def test_a_trial_survives_ways_to_break_it_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    some = {
        "SIGKILL of one rank",
        "STOP file",
        "SIGTERM, another world size",
    }  # the others: test_kills, test_run
    monkeypatch.setattr("harness.drill.ways", lambda ranks: [way for way in ways(ranks) if way.name in some])
    Path("suite.yaml").write_text(SUITE.replace("epochs: 2", "epochs: 10"), encoding="utf-8")
    trial = next(suite_file.load(Path("suite.yaml")).trials())
    arguments = [
        "--only",
        trial.experiment,
        "--seeds",
        str(trial.seed),
        "--checkpoint-every",
        "1s",
        "suite.yaml",
    ]
    *same, other = Drill(trial, arguments, 2, tmp_path / "drill", os.environ).outcomes()
    assert [outcome.difference for outcome in same] == [0.0, 0.0]
    assert other.ranks == "2 ranks, then 1"
    assert other.difference is not None
    assert other.difference <= 1e-9
    assert {outcome.name for outcome in (*same, other)} == some


def test_what_differs_is_said_so() -> None:
    assert str(Outcome("SIGTERM", "2 ranks", 0.001, is_equal=False)).endswith("DIFFERS, by 1.0e-03 at most")
    assert "more --epochs help" in str(Outcome("SIGTERM", "2 ranks", None, is_equal=True))


def test_it_says_what_its_runs_said_when_they_fail(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(SUITE, encoding="utf-8")
    command = [*HARNESS, "drill", str(path), "--data-dir", str(tmp_path), "--set", "dataset.name=mnist"]
    env = {"PYTHONPATH": str(Path(__file__).parent.parent), "XDG_CACHE_HOME": str(tmp_path), "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, timeout=300)
    assert done.returncode == 1, sys.version
    assert "error: a run of the drill ended with exit code 2:" in done.stderr
