"""Commit of the repository that holds a suite."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.results.repository import commit_of_suite


def git(*arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    run = subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True)
    return run.stdout.strip()


@pytest.fixture
def revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have a repository with a suite, a module and results, and be in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("suites/s.yaml", "own.py", "results/s/table.md"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "one")
    return git("rev-parse", "HEAD")


def commit() -> str | None:
    return commit_of_suite(Path("suites/s.yaml"), [Path("own.py").absolute()], Path("results"))


def test_results_and_notes_leave_it_clean(revision: str) -> None:
    Path("results/s/table.md").write_text("changed", encoding="utf-8")
    Path("results/s/new.md").touch()
    Path("notes.txt").touch()
    assert commit() == revision


@pytest.mark.parametrize("name", ["suites/s.yaml", "own.py"])
def test_a_change_makes_it_dirty(name: str, revision: str) -> None:
    Path(name).write_text("changed", encoding="utf-8")
    assert commit() == f"{revision}-dirty"


@pytest.mark.parametrize("name", ["suites/s.yaml", "own.py"])
def test_code_that_is_not_tracked_makes_it_dirty(name: str, revision: str) -> None:
    git("rm", "--quiet", "--cached", name)
    git("commit", "--quiet", "--message", "two")
    assert commit() == f"{git('rev-parse', 'HEAD')}-dirty"


def test_a_repository_of_another_user_is_named_too(revision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert commit() == revision
    Path("own.py").write_text("changed", encoding="utf-8")
    assert commit() == f"{revision}-dirty"


def test_no_filter_of_another_user_is_run(revision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    git("config", "filter.theirs.clean", "touch run-by-git; cat")
    Path(".gitattributes").write_text("*.py filter=theirs\n", encoding="utf-8")
    Path("own.py").write_text("changed", encoding="utf-8")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert commit() == f"{revision}-unchecked"
    assert not Path("run-by-git").exists()


def test_a_hook_of_git_names_no_other_repository(revision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert commit() == revision


def test_outside_of_git_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert commit() is None
    git("init", "--quiet")
    assert commit() is None  # no commit yet
