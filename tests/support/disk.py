"""A small file system that a test can fill or make read-only."""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Disk:
    """A small file system of its own, which can be full or read-only."""

    root: Path

    def fill(self, left: int = 0) -> None:
        """Take all its room but so many bytes."""
        self.make_room()
        found = os.statvfs(self.root)
        with contextlib.suppress(OSError), (self.root / "filling").open("wb", buffering=0) as file:
            file.write(bytes(found.f_bavail * found.f_frsize - left))

    def make_room(self) -> None:
        """Give the room back."""
        (self.root / "filling").unlink(missing_ok=True)

    def make(self, what: str) -> None:
        """Make it `ro` or `rw`."""
        subprocess.run(["mount", "-o", f"remount,{what}", self.root], check=True)


def write_into(path: Path) -> None:
    """Have this process write what it prints into a file."""
    with path.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
