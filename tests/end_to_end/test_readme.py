"""The README's commands run."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.support import ROOT, forks

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


COMMANDS = re.findall(r"^\$ (.+)$", TEXT, re.MULTILINE)


def test_its_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "suites", tmp_path / "suites")
    assert len(COMMANDS) >= 5
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for command in COMMANDS:
        program, *arguments = shlex.split(command)
        assert program == "harness"
        code, output = forks.harness(arguments, seconds=300)
        assert code == 0, output
