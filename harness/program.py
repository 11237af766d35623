"""The command that starts this very program again, whatever lies in the current folder."""

from __future__ import annotations

import sys
from pathlib import Path

ENTRY = Path(__file__).resolve().with_name("__main__.py")


def command() -> list[str]:
    """Return the first arguments of a process that runs this program; those of `harness` follow."""
    return [sys.executable, "-P", str(ENTRY)]
