"""The parts of the check on a card that run the program, with small suites; and the check itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from harness import model_registry
from harness.cli.main import app
from harness.config.loader import load_suite
from harness.config.overrides import Assignment
from harness.data.official_files import FILES
from tests.gpu import parts
from tests.gpu.commands import IN_REHEARSAL, ON_CARD
from tests.gpu.facts import Fact, Facts
from tests.gpu.parts import PARTS, Part, run
from tests.support import ROOT

GPU = ROOT / "tests" / "gpu"


@pytest.mark.parametrize("part", ["main", "killed", "wrong"])
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
    command = typer.main.get_command(app).get_command(None, name)  # type: ignore[attr-defined]
    given = command.make_context(name, list(arguments)).params
    path = given["suite"] if name == "drill" else (given.get("suites") or [given["suite"]])[0]
    suite = load_suite(ROOT / path, [Assignment.parse(text) for text in given.get("changes") or []])
    only = given.get("only") or []
    assert set([only] if isinstance(only, str) else only) <= set(suite.experiments)
    for each in suite.experiments.values():
        model_registry.build(each.model, (1, 8, 8), 10)


def crashes(card: object, facts: Facts) -> None:
    """Be a part that finds something and then ends its process."""
    facts.equal("one", 1, 2)
    os._exit(7)


def hangs(card: object, facts: Facts) -> None:
    """Be a part that does not end."""
    facts.note("begun", "yes")
    os.read(os.pipe()[0], 1)


def test_a_part_that_crashes_or_hangs_is_wrong_and_keeps_its_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PARTS, "crashes", Part("tests.end_to_end.test_gpu_rehearsal_runs:crashes", 60))
    monkeypatch.setitem(PARTS, "hangs", Part("tests.end_to_end.test_gpu_rehearsal_runs:hangs", 60))
    assert parts.run("crashes", is_rehearsal=True) == [
        Fact("one", "1, expected 2", ok=False),
        Fact("end", "exit code 7", ok=False),
    ]
    late = parts.run("hangs", is_rehearsal=True, seconds=3)
    assert late[-1] == Fact("end", "broken off after 3 s", ok=False)


def test_the_script_runs_parts_by_name(tmp_path: Path) -> None:
    for name in (
        "harness",
        "models",
        "tests",
    ):  # what was prepared here, perhaps for another Python, stays out
        (tmp_path / name).symlink_to(ROOT / name)
    out = tmp_path / "out"
    env = {**os.environ, "REHEARSAL": "1", "OUT": str(out), "PARTS": "where", "PYTHON": sys.executable}
    script = tmp_path / "tests" / "gpu" / "check.sh"
    done = subprocess.run(["bash", str(script)], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 parts ok" in done.stdout
    assert (out / "log.txt").read_text(encoding="utf-8") == done.stdout
    found = json.loads((out / "facts.json").read_text(encoding="utf-8"))
    assert [fact["name"] for fact in found["where"]["facts"]][:3] == ["date", "commit", "python"]


@pytest.mark.parametrize("script", ["check.sh", "prepare"])
def test_the_scripts_are_bash(script: str) -> None:
    subprocess.run(["bash", "-n", str(GPU / script)], check=True)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy the script that prepares into a tree of its own, beside a pip that only says what it is asked."""
    folder = tmp_path / "tree" / "tests" / "gpu"
    folder.mkdir(parents=True)
    shutil.copy(GPU / "prepare", folder)
    pip = tmp_path / "python"
    pip.write_text('#!/bin/sh\nmkdir -p .gpu/wheels; echo "$@" >>.gpu/asked\n', encoding="utf-8")
    pip.chmod(0o755)
    return folder.parent.parent


def prepare(copy: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the script, from another folder."""
    return subprocess.run(
        ["bash", str(copy / "tests" / "gpu" / "prepare"), *arguments],
        env={"PATH": os.environ["PATH"], "HOME": str(copy), "PYTHON": str(copy.parent / "python"), **env},
        cwd=copy.parent,
        capture_output=True,
        text=True,
        check=False,
    )


def test_wheels_and_data_are_prepared_for_another_machine(copy: Path) -> None:
    data = copy.parent / "data"
    (data / "fashion-mnist").mkdir(parents=True)
    for file in FILES:
        (data / "fashion-mnist" / file).write_text(file, encoding="utf-8")
    done = prepare(
        copy, "--python", "3.13", "--platform", "a", "--platform", "b", "--peers", HARNESS_DATA=str(data)
    )
    assert done.returncode == 0, done.stderr
    plain, peers, _ = (copy / ".gpu" / "asked").read_text(encoding="utf-8").splitlines()
    common = "-m pip download --quiet --only-binary=:all: --implementation cp --python-version 3.13"
    common += " --platform a --platform b"
    assert plain.startswith(f"{common} --dest .gpu/wheels pydantic ")
    assert peers.startswith(f"{common} --dest .gpu/wheels --no-deps lightning ")
    found = sorted(path.name for path in (copy / ".gpu" / "data" / "FashionMNIST" / "raw").iterdir())
    assert found == sorted(FILES)


def test_packages_by_name_are_prepared_instead(copy: Path) -> None:
    done = prepare(copy, "--no-data", "numpy", "scipy")
    assert done.returncode == 0, done.stderr
    assert (copy / ".gpu" / "asked").read_text(encoding="utf-8").endswith("--dest .gpu/wheels numpy scipy\n")
    assert not (copy / ".gpu" / "data").exists()


def test_what_cannot_be_prepared_is_said(copy: Path) -> None:
    assert "unknown option --nothing" in prepare(copy, "--nothing").stderr
    done = prepare(copy, "--data", str(copy))
    assert done.returncode == 2
    assert f"found no Fashion-MNIST in {copy}; `harness data fashion_mnist` fetches it" in done.stderr
