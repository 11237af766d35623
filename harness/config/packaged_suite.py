"""The suite inside the package: its name on the command line and in a suite.json, and its file."""

from __future__ import annotations

from pathlib import Path

NAME = "quickstart"
PATH = Path(__file__).resolve().parent.parent / "quickstart.yaml"
IN_JSON = f"harness:{NAME}"  # a file of the user's may be called NAME


def is_packaged(path: str) -> bool:
    """Tell whether the file that a suite was read from is the packaged one."""
    return Path(path) == PATH
