"""The drill: a trial that is broken off in any way leaves the record that it would have left."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.drill import Outcome, ways
from tests.test_run import HARNESS, SUITE, run


@pytest.mark.slow
def test_a_trial_survives_every_way_to_break_it_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    Path("suite.yaml").write_text(SUITE, encoding="utf-8")
    output = run("drill", "suite.yaml", "--only", "mixer", "--epochs", "30")
    assert output.startswith("small@")
    *same, other = output.splitlines()[1:]
    assert [line.partition("  ")[0] for line in output.splitlines()[1:]] == [way.name for way in ways(2)]
    assert all(line.endswith("2 ranks      equal, bit for bit") for line in same)
    assert re.search(r"2 ranks, then 1 equal, (bit for bit|by \d\.\de-1\d at most)$", other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["suite.yaml"]


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
