"""The files that a report consists of: what each should hold, whether it does, and writing it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from harness.report.figures import Figure, digest_in
from harness.results.atomic_files import update, write_whole

_MOST_LINES, _MOST_CHARACTERS = 60, 2000  # of a difference; pictures in a page have lines of megabytes


class Artifact(Protocol):
    """A file, or several of one content, that a report consists of."""

    @property
    def path(self) -> Path:
        """Return where it stands."""

    def difference(self) -> str:
        """Say how what is on disk differs from what the records say; empty where it does not."""

    def write(self) -> bool:
        """Write it, unless it is as it should be; tell whether it was, or raise StoreError."""


@dataclass(frozen=True)
class TextFile:
    """A file of text."""

    path: Path
    text: str

    def difference(self) -> str:
        """Return a unified diff, to what the records say."""
        found = bytes_of(self.path)
        if found == self.text.encode():
            return ""
        if found is None:
            return f"{self.path}: missing"
        before, after = (text.splitlines() for text in (found.decode(errors="replace"), self.text))
        lines = difflib.unified_diff(before, after, str(self.path), "what the records say", lineterm="")
        return "\n".join(_shortened(lines)) or f"{self.path}: differs in the ends of its lines"

    def write(self) -> bool:
        """Write the file, unless it is as it should be; tell whether it was written."""
        target = self.path.resolve() if self.path.is_symlink() else self.path  # a link stays one
        return update(target, self.text.encode())


@dataclass(frozen=True)
class FigureFile:
    """A figure, as an SVG and a PNG file; each holds the digest of what it shows."""

    folder: Path
    figure: Figure

    @property
    def path(self) -> Path:
        """Return where its SVG file stands."""
        return self._file("svg")

    def difference(self) -> str:
        """Name the files that are missing or show something else."""
        return "\n".join(line for kind in ("svg", "png") if (line := self._difference(kind)))

    def write(self) -> bool:
        """Draw the figure, unless both files show it already; tell whether it was drawn."""
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
    """Return a diff that can be read: whole where it is one of a table, and the beginning of a page's."""
    shown = [
        line if len(line) <= _MOST_CHARACTERS else f"{line[:_MOST_CHARACTERS]}…"
        for line in islice(lines, _MOST_LINES)
    ]
    more = sum(1 for _ in lines)
    return [*shown, f"… and {more:,} more lines"] if more else shown


def bytes_of(path: Path) -> bytes | None:
    """Return what a file holds; None where there is none that can be read."""
    try:
        return path.read_bytes()
    except OSError:
        return None
