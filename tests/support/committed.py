"""Whether what is committed under results/ and in README.md is what the committed records say.

`python -m tests.support.committed` looks at what git tracks, as it is now; other results may lie beside it. A
table, figure or page that `harness report` has written anew from all of them is taken as git has it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.report import outputs
from harness.results.store import Store
from tests.support import ROOT

_PLACES = ("README.md", "results")


@contextlib.contextmanager
def laid_out(root: Path = ROOT) -> Iterator[Path]:
    """Have the tracked files, without git all there are, in a folder of their own."""
    with tempfile.TemporaryDirectory() as folder:
        anew = _written_anew(root)
        for path in _tracked(root):
            target = Path(folder) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if path in anew:
                target.write_bytes(_git(root, "show", f":{path.as_posix()}"))
            elif (root / path).is_file():
                shutil.copy2(root / path, target)
        yield Path(folder)


def checks(folder: Path) -> Iterator[list[str]]:
    """Yield the arguments of `harness report` that check each folder of results there."""
    for suites in sorted({path.parents[1] for path in folder.glob("results/**/suite.json")}):
        results = suites.relative_to(folder).as_posix()
        own = ["--html", "--into", "README.md"] if results == "results" else []
        yield ["report", "--check", *own, "--results", results]


def _tracked(root: Path) -> list[Path]:
    if listed := _git(root, "ls-files", "-z", "--", *_PLACES):
        return _paths(listed)
    everything = [root / "README.md", *(root / "results").rglob("*")]
    return [path.relative_to(root) for path in everything]


def _written_anew(root: Path) -> set[Path]:
    """Return the changed files that are as all results say that lie here, tracked or not."""
    changed = set(_paths(_git(root, "diff", "--name-only", "-z", "--", *_PLACES)))
    found: set[Path] = set()
    for results in {path.parents[1] for path in root.glob("results/**/suite.json")} if changed else ():
        store, is_top = Store(results), results == root / "results"
        into = [root / "README.md"] if is_top else []
        for each in outputs(store, store.folders(), into, page=is_top):
            if not isinstance(each, str) and not each.difference():
                found |= {each.path.relative_to(root), each.path.with_suffix(".png").relative_to(root)}
    return found & changed


def _paths(listed: bytes) -> list[Path]:
    return [Path(os.fsdecode(name)) for name in listed.split(b"\0") if name]


def _git(root: Path, *arguments: str) -> bytes:
    """Return what git says; nothing without it or outside a clone."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        return b""
    if done.returncode and (root / ".git").exists():
        raise SystemExit(done.stderr.decode(errors="replace"))
    return done.stdout if not done.returncode else b""


def main() -> int:
    """Run all checks; return 1 if any fails."""
    with laid_out() as folder:
        codes = [
            subprocess.run(
                [sys.executable, "-m", "harness", *arguments],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                check=False,
            ).returncode
            for arguments in checks(folder)
        ]
    return int(any(codes) or not codes)


if __name__ == "__main__":
    raise SystemExit(main())
