"""Where numbers come from."""

from __future__ import annotations

import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from harness.results import provenance
from tests.support import ROOT

TRAINS = (
    "config/suite",
    "data/idx",
    "training/step",
    "model_libraries",
    "model_registry",
    "results/record",
    "results/metrics",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    names = [f"harness/{name}.py" for name in (*TRAINS, "__init__", "results/store")]
    for name in (*names, "models/mlp.py", "results/small/suite.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    (tmp_path / "harness/models").symlink_to("../models")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    run = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True
    )
    return run.stdout.strip()


@pytest.mark.parametrize("name", [f"harness/{name}.py" for name in TRAINS] + ["models/mlp.py"])
def test_the_code_hash_covers_what_trains(name: str, tree: Path) -> None:
    before = provenance.code_hash(root=tree)
    (tree / name).write_text("changed", encoding="utf-8")
    assert provenance.code_hash(root=tree) != before


@pytest.mark.parametrize("name", ["README.md", "harness/__init__.py", "harness/results/store.py"])
def test_the_code_hash_covers_nothing_else(name: str, tree: Path) -> None:
    before = provenance.code_hash(root=tree)
    (tree / name).write_text("changed", encoding="utf-8")
    assert provenance.code_hash(root=tree) == before


def test_the_code_hash_is_of_contents_and_not_of_places(tree: Path) -> None:
    before = provenance.code_hash(root=tree)
    (tree / "models/mlp.py").rename(tree / "models/other.py")
    (tree / "harness/data/idx.py").rename(tree / "harness/config/idx.py")
    assert provenance.code_hash(root=tree) == before


def test_the_code_hash_covers_the_shipped_sources() -> None:
    """Fails where a package is moved and the hash does not follow."""
    for pattern in provenance.SOURCES:
        assert list((ROOT / "harness").glob(pattern)), pattern


def test_the_commit_is_dirty_where_code_changed_and_only_there(tree: Path) -> None:
    assert provenance.commit(tree) is None
    git(tree, "init", "--quiet")
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "--message", "one")
    revision = git(tree, "rev-parse", "HEAD")
    assert provenance.commit(tree) == revision
    (tree / "results/small/suite.json").write_text("changed", encoding="utf-8")
    assert provenance.commit(tree) == revision
    (tree / "models/new.py").write_text("new", encoding="utf-8")
    assert provenance.commit(tree) == f"{revision}-dirty"


def test_a_repository_that_is_somebody_elses_is_not_named(tree: Path) -> None:
    git(tree, "init", "--quiet")
    assert provenance.commit(tree) is None


def test_times_are_in_utc() -> None:
    assert datetime.fromisoformat(provenance.now()).utcoffset().total_seconds() == 0  # type: ignore[union-attr]
