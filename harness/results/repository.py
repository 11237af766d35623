"""Git repositories: the commit that a folder's files are at, and whether they were changed since."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

# Git answers whoever owns the files, and runs no program that the repository names.
_FOREIGN = ("-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
# Set where git itself calls, as from its hooks: they name another repository.
_OF_ANOTHER = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
)
_MOST_FILES = 1000


def commit_of_suite(suite: Path, code: Sequence[Path] = (), results: Path | None = None) -> str | None:
    """Return the commit of the repository that holds the suite's file; None if none does.

    It ends in `-dirty` if a tracked file other than the results was changed, or if the suite's file or one of
    `code` in the repository is not tracked; in `-unchecked` if git would have to run somebody else's filters
    to tell.
    """
    folder = suite.absolute().parent.resolve()
    top = _git(folder, "rev-parse", "--show-toplevel")
    revision = _git(folder, "rev-parse", "--verify", "HEAD") if top else None
    if not top or not revision:
        return None
    root = Path(top).resolve()
    inside = [path for path in [folder / suite.name, *code] if root in path.resolve().parents]
    but = _exclusion(root, results)
    changed = _git(
        root, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules", "--", ".", *but
    )
    if changed is None:
        return f"{revision}-unchecked"
    is_dirty = bool(changed) or any(_untracked(root, inside))
    return f"{revision}-dirty" if is_dirty else revision


def commit_of_program(root: Path) -> str | None:
    """Return the commit that the harness runs from, `-dirty` if its code was changed; None outside git."""
    if not _git(root, "ls-files", "harness/__init__.py"):
        return None  # installed elsewhere, perhaps inside somebody else's repository
    revision = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--", "harness", "models")
    return f"{revision}-dirty" if revision and changed else revision


def _exclusion(root: Path, results: Path | None) -> list[str]:
    """Return the pathspec that leaves the folder of results out."""
    found = results.absolute().resolve() if results else None
    return (
        [f":(exclude,top,literal){found.relative_to(root).as_posix()}"]
        if found and root in found.parents
        else []
    )


def _untracked(root: Path, paths: Sequence[Path]) -> list[Path]:
    """List those of the files within the repository that it does not track."""
    known = sorted({path.resolve().relative_to(root).as_posix() for path in paths})
    tracked: set[str] = set()
    for start in range(0, len(known), _MOST_FILES):
        part = [f":(literal){path}" for path in known[start : start + _MOST_FILES]]
        tracked |= set((_git(root, "ls-files", "-z", "--", *part) or "").split("\0"))
    return [root / path for path in known if path not in tracked]


def _git(folder: Path, *arguments: str) -> str | None:
    """Return git's output, also for a repository that somebody else owns; None if it fails."""
    run = _run(folder, *arguments)
    if run is not None and run.returncode and "safe.directory" in run.stderr:
        filters = _run(folder, *_FOREIGN, "config", "--get-regexp", r"^filter\.")
        if arguments[0] == "status" and (filters is None or filters.stdout):
            return None
        run = _run(folder, *_FOREIGN, *arguments)
    return run.stdout.strip("\n") if run is not None and run.returncode == 0 else None


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str] | None:
    env = {key: value for key, value in os.environ.items() if key not in _OF_ANOTHER}
    env |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env=env,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
