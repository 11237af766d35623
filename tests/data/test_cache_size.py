"""The cache's size is bounded: what was not used for longest goes first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness import environment
from harness.data import load, named
from harness.data.cache import folder_of
from harness.data.cache_size import clean, entries, limit_bytes, prune
from harness.data.folders import Search
from harness.errors import DataError

NOW = 2e9


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """Have three entries of a MiB each, used 5, 3 and 4 days ago."""
    for name, days in (("a", 5), ("b", 3), ("c", 4)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "train_images.npy").write_bytes(bytes(2**20))
        (folder / "digest.json").touch()
        os.utime(folder / "digest.json", (NOW, NOW - days * 86_400))
    return tmp_path


def left(prepared: Path) -> list[str]:
    return sorted(path.name for path in prepared.iterdir())


@pytest.mark.parametrize(("mib", "expected"), [(3, "abc"), (2.5, "bc"), (2, "bc"), (1.5, "b"), (0.1, "")])
def test_the_least_recently_used_goes(prepared: Path, mib: float, expected: str) -> None:
    removed = prune(prepared, {environment.CACHE_GIB: str(mib / 1024)}, NOW)
    assert "".join(left(prepared)) == expected
    assert len(removed) == 3 - len(expected)


def test_what_was_used_within_a_day_stays(prepared: Path) -> None:
    os.utime(prepared / "a/digest.json", (NOW, NOW - 80_000))
    prune(prepared, {environment.CACHE_GIB: "0.000001"}, NOW)
    assert left(prepared) == ["a"]


def test_clean_removes_all(prepared: Path) -> None:
    (prepared / ".new-1").mkdir()
    assert len(clean(prepared)) == 4
    assert left(prepared) == []
    assert entries(prepared / "none") == []


def test_opening_counts_as_use(tmp_path: Path) -> None:
    settings, env = named("kmnist_sample", 4), {"XDG_CACHE_HOME": str(tmp_path)}
    load(settings, env=env)
    about = folder_of(settings, Search(None, env, print)) / "digest.json"
    os.utime(about, (1, 1))
    load(settings, env=env)
    assert about.stat().st_mtime > 1


@pytest.mark.parametrize("given", ["x", "0", "-1", "nan"])
def test_a_wrong_limit_is_told(given: str) -> None:
    with pytest.raises(DataError, match=f"HARNESS_CACHE_GIB: found '{given}', expected a number above 0"):
        limit_bytes({environment.CACHE_GIB: given})
