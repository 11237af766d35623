"""The commands of README and docs/ run as they stand, beside the files that their pages show."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, forks
from tests.support.pages import DOCS, README, Page
from tests.support.runs import HARNESS

# What installs something is followed in test_packaging.py.
WITH_COMMANDS = [page for page in [README, *DOCS] if page.commands and not page.installs]
RESULTS = ("fashion-patch_size", "fashion-depth")
# A benchmark's rounds take as long as its clock needs to be exact, which no page's test looks at.
SHORT_ROUNDS = "from harness.runner.bench import benchmark\n\nbenchmark._CHUNK_SECONDS = 0.01\n"


def test_there_are_commands() -> None:
    assert README in WITH_COMMANDS
    assert len(WITH_COMMANDS) >= 5


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.name)
def test_commands_run(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page in a folder of its own, with the suites, README and some of the results of a checkout."""
    shutil.copytree(ROOT / "suites", tmp_path / "suites")
    shutil.copy(ROOT / "README.md", tmp_path)
    for name in RESULTS:
        shutil.copytree(ROOT / "results" / name, tmp_path / "results" / name)
    page.write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(SHORT_ROUNDS, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'hook'}{os.pathsep}{ROOT}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for command in page.commands:
        code, output = _run(*shlex.split(command))
        assert code == 0, f"{command}\n{output}"


def _run(program: str, *arguments: str) -> tuple[int | None, str]:
    """Run `harness` or `python`; return the exit code and what was printed."""
    starter = {"harness": HARNESS, "python": [sys.executable]}[program]
    return forks.finished([*starter, *arguments], seconds=300)
