"""Fixtures that several modules of this folder use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import call
from tests.support.comparison_cases import Harness


@pytest.fixture
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Harness:
    """Return a function that runs a command in an empty folder; its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code, out, err = call(arguments, monkeypatch, capsys)
        return int(code or 0), out, err

    return run
