"""The parts of the check on a card that run the program, with small suites; and the check itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from harness import cli, suite_file
from harness.overrides import Assignment
from tests.gpu import parts
from tests.gpu.commands import IN_REHEARSAL, ON_CARD
from tests.gpu.facts import Fact, Facts
from tests.gpu.parts import PARTS, Part, run

ROOT = Path(__file__).parent.parent
GPU = ROOT / "tests" / "gpu"


@pytest.mark.slow
@pytest.mark.parametrize("part", ["main", "killed", "wrong", "narrow", "bench"])
def test_a_part_is_rehearsed(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUT", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    facts = run(part, is_rehearsal=True)
    assert facts
    assert [str(fact) for fact in facts if fact.ok is False] == []


@pytest.mark.parametrize("commands", [ON_CARD, IN_REHEARSAL], ids=["on a card", "in a rehearsal"])
@pytest.mark.parametrize("part", ON_CARD)
def test_the_commands_are_understood(part: str, commands: dict[str, list[str]]) -> None:
    name, *arguments = commands[part]
    command = typer.main.get_command(cli.app).get_command(None, name)  # type: ignore[attr-defined]
    given = command.make_context(name, list(arguments)).params
    path = given["suite"] if name == "drill" else (given.get("suites") or [given["suite"]])[0]
    suite = suite_file.load(ROOT / path, [Assignment.parse(text) for text in given.get("changes") or []])
    only = given.get("only") or []
    assert set([only] if isinstance(only, str) else only) <= set(suite.experiments)


def crashes(card: object, facts: Facts) -> None:
    """Be a part that finds something and then ends its process."""
    facts.equal("one", 1, 2)
    os._exit(7)


def hangs(card: object, facts: Facts) -> None:
    """Be a part that does not end."""
    facts.note("begun", "yes")
    os.read(os.pipe()[0], 1)


def test_a_part_that_crashes_or_hangs_is_wrong_and_keeps_its_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PARTS, "crashes", Part("tests.test_gpu_rehearsal_runs:crashes", 60))
    monkeypatch.setitem(PARTS, "hangs", Part("tests.test_gpu_rehearsal_runs:hangs", 3))
    assert parts.run("crashes", is_rehearsal=True) == [
        Fact("one", "1, expected 2", ok=False),
        Fact("end", "exit code 7", ok=False),
    ]
    assert parts.run("hangs", is_rehearsal=True) == [
        Fact("begun", "yes"),
        Fact("end", "broken off after 3 s", ok=False),
    ]


def test_the_script_runs_parts_by_name(tmp_path: Path) -> None:
    env = {**os.environ, "REHEARSAL": "1", "OUT": str(tmp_path), "PARTS": "where", "PYTHON": sys.executable}
    done = subprocess.run(
        ["bash", str(GPU / "check.sh")], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 parts ok" in done.stdout
    assert (tmp_path / "log.txt").read_text(encoding="utf-8") == done.stdout
    found = json.loads((tmp_path / "facts.json").read_text(encoding="utf-8"))
    assert [fact["name"] for fact in found["where"]["facts"]][:3] == ["date", "commit", "python"]


@pytest.mark.parametrize("script", ["check.sh", "prepare"])
def test_the_scripts_are_bash(script: str) -> None:
    subprocess.run(["bash", "-n", str(GPU / script)], check=True)


def test_what_is_prepared_is_said_before_anything_is_fetched(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", str(GPU / "prepare"), "--nothing"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "unknown option --nothing" in done.stderr
