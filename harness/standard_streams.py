"""Standard output and error that end no program: what nobody reads any more is dropped."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Any, TextIO


class _Stream(io.RawIOBase):
    """File descriptor whose errors are dropped with what was to be written, and with all that follows."""

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
            except BlockingIOError:  # somebody has set the pipe so
                select.select([], [self.descriptor], [])
            except OSError as error:
                self._give_up(error)
                return len(content)

    def _give_up(self, error: OSError) -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.descriptor)
        if self.descriptor == 1 and error.errno not in (errno.EPIPE, errno.EIO):  # its reader has not left
            print(f"standard output: {error.strerror}; the rest of it is lost", file=sys.stderr)  # noqa: T201


def guard() -> None:
    """Put such streams in the place of this process's own.

    A descriptor that is closed is opened, to nothing: the next file that is opened would become it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it becomes the lowest one that is free
    if sys.stdout is sys.__stdout__:  # else somebody reads it within this process
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
    """Return a stream to the same place whose errors are raised, for what ends with its reader."""
    raw = getattr(getattr(out, "buffer", None), "raw", None)
    if not isinstance(raw, _Stream):
        return out
    return open(raw.descriptor, "w", encoding=out.encoding, errors="replace", closefd=False)
