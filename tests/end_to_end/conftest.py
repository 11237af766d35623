"""Whole runs: marked `e2e`; in the folder of a test that asks for one, what is left running is ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.disk import Disk
from tests.support.gated_runs import GATED, processes_of
from tests.support.runs import SUITE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies here; the hook is given all tests."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("e2e")


@pytest.fixture
def folder(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Be in an empty folder, with the shared cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    yield tmp_path
    for pid in processes_of(tmp_path):  # none, unless the test has failed
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def small_suite(folder: Path) -> None:
    """Have the small suite in the folder."""
    (folder / "suite.yaml").write_text(SUITE, encoding="utf-8")


@pytest.fixture
def gated_suite(folder: Path) -> None:
    """Have the suite in the folder whose trial waits in its second epoch."""
    (folder / "suite.yaml").write_text(GATED, encoding="utf-8")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Mount a small file system as the folder of results; skip where nothing can be mounted."""
    root = tmp_path / "results"
    root.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(root)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    yield Disk(root)
    subprocess.run(["umount", "--lazy", root], check=True)
