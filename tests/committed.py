"""Whether what is committed under results/ and in README.md is what the committed records say.

`python -m tests.committed` looks at what git tracks, as it is now; other results may lie beside it.
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

ROOT = Path(__file__).parent.parent
_PLACES = ("README.md", "results")


@contextlib.contextmanager
def laid_out(root: Path = ROOT) -> Iterator[Path]:
    """Have the tracked files, without git all there are, in a folder of their own."""
    with tempfile.TemporaryDirectory() as folder:
        for path in _tracked(root):
            if (root / path).is_file():
                (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / path, Path(folder) / path)
        yield Path(folder)


def checks(folder: Path) -> Iterator[list[str]]:
    """Yield the arguments of `harness report` that check each folder of results there."""
    for suites in sorted({path.parents[1] for path in folder.glob("results/**/suite.json")}):
        results = suites.relative_to(folder).as_posix()
        own = ["--html", "--into", "README.md"] if results == "results" else []
        yield ["report", "--check", *own, "--results", results]


def _tracked(root: Path) -> list[Path]:
    command = ["git", "-C", str(root), "ls-files", "-z", "--", *_PLACES]
    try:
        listed = subprocess.run(command, capture_output=True, check=False).stdout
    except FileNotFoundError:  # no git here
        listed = b""
    if listed:
        return [Path(os.fsdecode(name)) for name in listed.rstrip(b"\0").split(b"\0")]
    everything = [root / "README.md", *(root / "results").rglob("*")]
    return [path.relative_to(root) for path in everything]


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
