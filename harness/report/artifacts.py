"""Artifacts of a report: files with their expected content, to compare with the disk or to write."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from harness.errors import UsageError
from harness.report.figures import Figure, digest_in
from harness.results.atomic_files import update, write_whole

_MOST_LINES, _MOST_CHARACTERS = 60, 2000  # of a difference; figures in a page have lines of megabytes


class Artifact(Protocol):
    """A file of a report, or several files of one content."""

    @property
    def path(self) -> Path:
        """Return the file's path; of several files, the one that messages name."""

    def difference(self) -> str:
        """Return how the file on disk differs from what the records say; empty if it does not."""

    def write(self) -> bool:
        """Write it, unless it is up to date; return whether it was written, or raise StoreError."""


@dataclass(frozen=True)
class TextFile:
    """A text file of a report."""

    path: Path
    text: str

    def difference(self) -> str:
        """Return a unified diff from the file on disk to what the records say.

        A checkout's line ends make no difference.
        """
        found = bytes_of(self.path)
        if found is None:
            return f"{self.path}: missing"
        if _with_one_line_end(found) == _with_one_line_end(self.text.encode()):
            return ""
        before, after = (text.splitlines() for text in (found.decode(errors="replace"), self.text))
        lines = difflib.unified_diff(before, after, str(self.path), "what the records say", lineterm="")
        return "\n".join(_shortened(lines)) or f"{self.path}: differs in the ends of its lines"

    def need_writable(self) -> None:
        """Raise UsageError if the file must be replaced and its folder is not writable."""
        folder = self._target.absolute().parent
        if self.difference() and not os.access(folder, os.W_OK | os.X_OK):
            raise UsageError(f"{self.path}: cannot be written; expected a folder that you may write in")

    def write(self) -> bool:
        """Write the file, unless it is up to date; return whether it was written."""
        return update(self._target, self.text.encode())

    @property
    def _target(self) -> Path:
        return self.path.resolve() if self.path.is_symlink() else self.path  # a symbolic link stays one


@dataclass(frozen=True)
class FigureFile:
    """A figure as an SVG and a PNG file; each holds the digest of the data that it shows."""

    folder: Path
    figure: Figure

    @property
    def path(self) -> Path:
        """Return the path of its SVG file."""
        return self._file("svg")

    def difference(self) -> str:
        """Name the files that are missing or show something else."""
        return "\n".join(line for kind in ("svg", "png") if (line := self._difference(kind)))

    def write(self) -> bool:
        """Draw the figure, unless both files show it already; return whether it was drawn."""
        if not self.difference():
            return False
        for kind, content in self.figure.draw().items():
            write_whole(self._file(kind), content)
        return True

    def _file(self, kind: str) -> Path:
        return self.folder / f"{self.figure.path}.{kind}"

    def _difference(self, kind: str) -> str:
        path = self._file(kind)
        content = bytes_of(path)
        if content is None:
            return f"{path}: missing"
        found = digest_in(content)
        if found == self.figure.digest:
            return ""
        shown = f"the digest {found[:8]}…" if found else "no digest"
        return f"{path}: shows something else: found {shown}, expected {self.figure.digest[:8]}…"


def _shortened(lines: Iterator[str]) -> list[str]:
    """Return a diff of readable length: a table's in full, the beginning of a page's."""
    shown = [
        line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]}…"
        for line in islice(lines, _MOST_LINES)
    ]
    more = sum(1 for _ in lines)
    return [*shown, f"… and {more:,} more lines"] if more else shown


def _with_one_line_end(content: bytes) -> bytes:
    return content.replace(b"\r\n", b"\n")


def bytes_of(path: Path) -> bytes | None:
    """Return a file's content; None if there is none that can be read."""
    try:
        return path.read_bytes()
    except OSError:
        return None
