"""The program that runs here: the command that starts it again in any folder, and a call that does."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

ENTRY = Path(__file__).resolve().with_name("__main__.py")


def command() -> list[str]:
    """Return the first arguments of a process that runs this program; those of `harness` follow."""
    return [sys.executable, "-P", str(ENTRY)]


def run() -> None:
    """Run it in this process, as sys.argv says; raise SystemExit."""
    import_module("harness.__main__").main()
