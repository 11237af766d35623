"""Files of the current folder that are named like modules: harmless, and still found by a suite."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import ModelError
from harness.plugins import imported
from tests.support import ROOT

pytestmark = pytest.mark.e2e

# Modules of the standard library, of other packages, of this one, and some that no one has.
TRAPS = (
    *("statistics", "random", "typing", "json", "typer", "yaml", "torch", "numpy", "errors"),
    *("data", "suites", "results", "report", "triton", "email_validator"),
)
SUITE = """\
suite: small
title: A small suite
dataset: {name: kmnist_sample, resize: 8}
seeds: 1
common: {training: {epochs: 1, batch_size: 600, optimizer: {name: Adam, lr: 0.01}}}
experiments:
  own: {model: {name: "models.net:build"}}
  shipped: {model: {name: mlp, hidden: [4], dropout: 0.0}}
"""
MODULE, FILE = ["-m", "harness"], [str(ROOT / "harness" / "__main__.py")]


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder of traps; return one that holds nothing but the package."""
    package = tmp_path / "installed"
    package.mkdir()
    (package / "harness").symlink_to(ROOT / "harness")
    (tmp_path / "here" / "models").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    for name in TRAPS:
        Path(f"{name}.py").write_text(f"raise RuntimeError('the wrong {name}')\n", encoding="utf-8")
    Path("models/net.py").write_text("import own_part\ndef build(shape, classes): ...\n", encoding="utf-8")
    Path("own_part.py").touch()
    Path("suite.yaml").write_text(SUITE, encoding="utf-8")
    return package


def harness(command: list[str], path: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this program with an import path."""
    return subprocess.run(
        [sys.executable, *command, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", [MODULE, FILE, ["-P", *FILE]], ids=["module", "file", "safe"])
def test_files_named_like_modules_do_no_harm(command: list[str], installed: Path) -> None:
    """`submit` imports the user's modules: a folder without __init__.py, and a file that it imports."""
    path = (
        str(installed) if command == MODULE else f":{installed}"
    )  # as PYTHONPATH=$PYTHONPATH:folder makes it
    done = harness(command, path, "submit", "suite.yaml", "--dry-run", "--time", "5")
    assert done.returncode == 0, done.stderr
    assert f"HARNESS_PROGRAM={FILE[0]}" in done.stdout


def test_workers_run_this_program_beside_another_of_its_name() -> None:
    Path("harness").mkdir()
    Path("harness/__init__.py").write_text("raise RuntimeError('the wrong harness')", encoding="utf-8")
    done = harness(["-P", *FILE], str(Path.cwd() / "nothing"), "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("harness ")


def test_a_users_import_path_counts(installed: Path) -> None:
    """A folder that PYTHONPATH names stays where it stands, also the current one."""
    Path("models").rename(installed / "models")
    Path("own_part.py").rename(installed / "own_part.py")
    done = harness(MODULE, str(installed), "submit", "suite.yaml", "--dry-run", "--time", "5")
    assert done.returncode == 0, done.stderr
    done = harness(["-P", *FILE], str(Path.cwd()), "--version")
    assert "RuntimeError: the wrong" in done.stderr


def test_it_is_said_which_module_hides_the_users() -> None:
    with pytest.raises(ModelError, match=r"statistics \(.*statistics\.py, found before .*: rename yours\)"):
        imported("model", "statistics:build", ModelError)
