"""Fixtures that several modules of this folder use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.results.store import Store
from tests.support.monitor_scene import Scene
from tests.support.records import suite_of


@pytest.fixture
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(Store(tmp_path / "results"), suite_of(tmp_path))
    made.store.save_suite(made.suite)
    yield made
    for run in made.runs.values():
        run.stop()
