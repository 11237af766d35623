"""Standard output and error that never end the program: once a stream fails, its output is dropped."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Any, TextIO


class _Stream(io.RawIOBase):
    """File descriptor that ignores a failed write and everything written after it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def fileno(self) -> int:
        return self.descriptor

    def isatty(self) -> bool:
        return os.isatty(self.descriptor)

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        while True:
            try:
                return os.write(self.descriptor, content)
            except BlockingIOError:  # the pipe does not block
                select.select([], [self.descriptor], [])
            except OSError as error:
                self._give_up(error)
                return len(content)

    def _give_up(self, error: OSError) -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.descriptor)
        if self.descriptor == 1 and error.errno not in (errno.EPIPE, errno.EIO):  # its reader has not left
            print(f"standard output: {error.strerror}; the rest of it is lost", file=sys.stderr)  # noqa: T201


def guard() -> None:
    """Replace this process's standard streams by such ones.

    A closed descriptor is opened on the null device; otherwise the next file opened would get its number.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it becomes the lowest one that is free
    if sys.stdout is sys.__stdout__:  # else it is captured within this process
        sys.stdout = _guarded(1, sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _guarded(2, sys.stderr)


def _guarded(descriptor: int, before: TextIO | None) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(_Stream(descriptor)),
        encoding=before.encoding if before else "utf-8",
        errors="replace",  # tables and errors may hold what a terminal cannot show
        line_buffering=before.line_buffering if isinstance(before, io.TextIOWrapper) else descriptor == 2,
        write_through=isinstance(before, io.TextIOWrapper) and before.write_through,
    )


def raising(out: TextIO) -> TextIO:
    """Return a stream to the same place that raises errors, for a command that ends with its reader."""
    raw = getattr(getattr(out, "buffer", None), "raw", None)
    if not isinstance(raw, _Stream):
        return out
    return open(raw.descriptor, "w", encoding=out.encoding, errors="replace", closefd=False)
