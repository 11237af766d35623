"""Files that a user names: where they are, and their content as part of a cache entry's name."""

from __future__ import annotations

import hashlib
from pathlib import Path

from harness.data.folders import Search, expanded
from harness.errors import DataError


def place(path: str, search: Search) -> Path:
    """Return the path of a file or folder, which may be relative; `~` is the user's home."""
    return search.folder / expanded(Path(path), "dataset.path")


def checksum(path: str, search: Search, what: str) -> str:
    """Return the SHA-256 of a file's content; raise DataError if there is no such file."""
    found = place(path, search)
    if not found.is_file():
        kind = "a folder" if found.is_dir() else "nothing"
        raise DataError(f"{found}: found {kind}, expected {what}")
    with found.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
