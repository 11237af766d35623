"""Measured paces: found again in the same circumstances only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from harness.runner.placement import Execution
from harness.runner.timing_cache import Circumstances, TimingCache
from tests.support.scheduled_run import SPREAD

DDP = Execution(placement="ddp")
HERE = Circumstances(kind="mlp", devices=["A GPU", "A GPU"], threads=4, versions=["2.11", "13.0", "c0de"])


@pytest.fixture
def paces(tmp_path: Path) -> TimingCache:
    return TimingCache(tmp_path / "paces")


def only_file(paces: TimingCache) -> Path:
    (path,) = paces.folder.iterdir()
    return path


def elsewhere(**changes: Any) -> Circumstances:
    return HERE.model_copy(update=changes)


def save_at(
    paces: TimingCache, when: int, circumstances: Circumstances, found: dict[Execution, float]
) -> None:
    """Save as if it were done then."""
    before = set(paces.folder.glob("*"))
    paces.save(circumstances, found)
    (path,) = set(paces.folder.glob("*")) - before
    os.utime(path, (when, when))


def test_what_was_saved_is_found_exactly(paces: TimingCache) -> None:
    crowded = Execution(placement="spread", engine="graph", trials_per_device=8)
    measured = {SPREAD: 0.1 + 0.2, crowded: 1 / 3, DDP: 5e-324}
    paces.save(HERE, measured)
    assert paces.find(HERE) == measured


@pytest.mark.parametrize(
    "changes",
    [{"kind": "other"}, {"devices": ["A GPU"]}, {"threads": 1}, {"versions": ["2.12", "13.0", "c0de"]}],
    ids=str,
)
def test_other_circumstances_are_not_found(paces: TimingCache, changes: dict[str, Any]) -> None:
    paces.save(HERE, {SPREAD: 1.0})
    assert paces.find(elsewhere(**changes)) == {}


def test_a_file_that_holds_other_circumstances_than_its_name_says_is_not_believed(paces: TimingCache) -> None:
    paces.save(elsewhere(threads=1), {SPREAD: 1.0})
    content = only_file(paces).read_bytes()
    only_file(paces).unlink()
    paces.save(HERE, {SPREAD: 2.0})
    only_file(paces).write_bytes(content)
    assert paces.find(HERE) == {}


@pytest.mark.parametrize("content", [b"", b'{"circum', b"[]", b"\xff\xfe"], ids=str)
def test_a_damaged_file_counts_as_absent_and_is_replaced(paces: TimingCache, content: bytes) -> None:
    paces.save(HERE, {SPREAD: 1.0})
    only_file(paces).write_bytes(content)
    assert (paces.find(HERE), paces.latest()) == ({}, {})
    paces.save(HERE, {SPREAD: 2.0})
    assert (paces.find(HERE), paces.latest()) == ({SPREAD: 2.0}, {"mlp": 2.0})


def test_without_a_folder_nothing_is_found(paces: TimingCache) -> None:
    assert (paces.find(HERE), paces.latest()) == ({}, {})


def test_the_latest_is_the_newest_of_each_kind(paces: TimingCache) -> None:
    for when in (3, 5, 1, 4, 2):
        save_at(paces, when, elsewhere(threads=when), {SPREAD: float(when)})
    save_at(paces, 1, elsewhere(kind="mixer"), {SPREAD: 70.0})
    assert paces.latest() == {"mlp": 5.0, "mixer": 70.0}


def test_the_latest_is_of_one_trial_alone_on_its_device(paces: TimingCache) -> None:
    eager = Execution(placement="spread", engine="eager")
    crowded = Execution(placement="spread", trials_per_device=2)
    save_at(paces, 1, HERE, {eager: 3.0, SPREAD: 2.0, DDP: 0.5, crowded: 1.0})
    save_at(paces, 2, elsewhere(threads=1), {DDP: 0.25, crowded: 0.75})
    assert paces.latest() == {"mlp": 2.0}


def test_a_folder_of_another_user_holds_nothing(paces: TimingCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_: Path, pattern: str) -> list[Path]:
        raise PermissionError(13, "Permission denied", pattern)

    paces.save(HERE, {SPREAD: 2.0})
    monkeypatch.setattr(Path, "glob", denied)
    assert paces.latest() == {}
