"""A folder with a suite and a stand-in for sbatch; commands as a user calls them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.commands import call
from tests.support.fake_slurm import HOSTILE, SBATCH, SUITE, program


@pytest.fixture
def folder_with_sbatch(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be in a folder with a hostile name and a suite; have a stand-in for sbatch on the PATH."""
    home = tmp_path / HOSTILE
    (home / "bin").mkdir(parents=True)
    (home / "suite.yaml").write_text(SUITE, encoding="utf-8")
    monkeypatch.chdir(home)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    program(tmp_path / "bin" / "sbatch", SBATCH)


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs a command to its end and returns what it printed."""

    def run(*arguments: str, code: int = 0) -> str:
        found, out, err = call(arguments, monkeypatch, capsys)
        assert found == code, (out, err)
        return out if code == 0 else err

    return run
