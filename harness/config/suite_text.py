"""Text of a suite: read from a file, or once from standard input or a pipe. Parses nothing."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from harness.config import packaged_suite
from harness.errors import SuiteError

STANDARD_INPUT = "standard input"
_MOST_BYTES = 64 * 2**20
_DESCRIPTOR = re.compile(r"-|/dev/stdin|/dev/fd/\d+|/proc/(self|\d+)/fd/\d+")


def is_stream(path: Path) -> bool:
    """Tell whether a suite can be read only once: `-`, /dev/stdin, or a pipe as `<(…)` makes one."""
    if _DESCRIPTOR.fullmatch(str(path)):
        return True
    try:
        return path.is_fifo()
    except (OSError, ValueError):
        return False


def name_of(path: Path) -> str:
    """Return the name of a suite's file for messages."""
    return STANDARD_INPUT if str(path) in ("-", "/dev/stdin", "/dev/fd/0") else str(path)


def shown(path: str | None) -> str:
    """Return a suite's path for messages: relative if it lies within the current folder."""
    if path is None:
        return STANDARD_INPUT
    if packaged_suite.is_packaged(path):
        return f"the package's {packaged_suite.NAME}"
    inner = os.path.relpath(path)
    return path if inner.startswith(os.pardir) else inner


def folder_of(path: Path) -> Path:
    """Return the folder that paths within a suite are relative to: its own; the current one for a stream."""
    return Path() if is_stream(path) else path.parent


def is_file(path: Path) -> bool:
    """Tell whether there is such a file; False for a name that is too long or has a NUL."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read(path: Path) -> bytes:
    """Return a suite's bytes; raise SuiteError where they cannot be read."""
    name = name_of(path)
    try:
        content = _bytes_in(path, name)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SuiteError([f"{name}: cannot be read: {why}; expected a suite in YAML"]) from None
    if len(content) > _MOST_BYTES:
        raise SuiteError([f"{name}: found more than {_MOST_BYTES >> 20} MiB, expected a suite in YAML"])
    return content


def _bytes_in(path: Path, name: str) -> bytes:
    if name == STANDARD_INPUT:
        if sys.stdin is None:  # it was closed when this process started
            raise ValueError("it is closed")
        return sys.stdin.buffer.read(_MOST_BYTES + 1)
    with path.open("rb") as file:
        return file.read(_MOST_BYTES + 1)


def decoded(content: bytes, name: str) -> str:
    """Return the text in a suite's bytes, without a byte order mark; raise SuiteError if it is not UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SuiteError([f"{name}: not UTF-8 text at byte {error.start}; save it as UTF-8"]) from None
