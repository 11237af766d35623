"""File of a checkpoint: its bytes behind a line with their SHA-256, which is checked when they are read."""

from __future__ import annotations

import hashlib
from pathlib import Path

from harness.results.atomic_files import write_whole

_HEAD = b"harness checkpoint, sha256 "


def write(path: Path, content: bytes) -> None:
    """Write the file atomically; raise StoreError if it cannot be written."""
    write_whole(path, _line(content) + content)


def read(path: Path) -> bytes:
    """Return the content; raise OSError if it cannot be read, ValueError if it is not as it was written.

    Files of earlier versions, without the line, are refused: their states are of other code anyway.
    """
    head, _, content = path.read_bytes().partition(b"\n")
    if not head.startswith(_HEAD):
        raise ValueError("it is damaged, or of an earlier version: its first line holds no SHA-256")
    if head + b"\n" != _line(content):
        raise ValueError("it is damaged: its content does not have the SHA-256 of its first line")
    return content


def _line(content: bytes) -> bytes:
    return _HEAD + hashlib.sha256(content).hexdigest().encode() + b"\n"
