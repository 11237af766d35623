"""Figures embedded in the page."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

MOST_BYTES = 24 * 2**20  # of all figures in a page; those beyond are linked

Read = Callable[[str], bytes | None]


@dataclass(frozen=True)
class EmbeddedFigure:
    """A figure: its description, the link to its file, and its data URL, unless that is too large."""

    alt: str
    path: str
    source: str | None


@dataclass
class Embedded:
    """Embedder of SVG files, in order, as long as there is room."""

    read: Read
    total: int = 0

    def figure(self, path: str, alt: str) -> EmbeddedFigure | None:
        """Return the figure; None if there is no such file."""
        content = self.read(path)
        if content is None:
            return None
        content = content.replace(b"\r\n", b"\n")  # a checkout may have changed the ends of its lines
        if self.total + len(content) > MOST_BYTES:
            return EmbeddedFigure(alt, quote(path), None)
        self.total += len(content)
        # A separate image, so that ids inside it do not collide with others in the page.
        source = f"data:image/svg+xml;base64,{base64.b64encode(content).decode()}"
        return EmbeddedFigure(alt, quote(path), source)
