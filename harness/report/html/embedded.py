"""Figures on disk as parts of the page."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

MOST_BYTES = 24 * 2**20  # of all figures in a page; those beyond are linked

Read = Callable[[str], bytes | None]


@dataclass(frozen=True)
class EmbeddedFigure:
    """A picture in words, the path of its file as a link, and itself as a link, unless that is too much."""

    alt: str
    path: str
    source: str | None


@dataclass
class Embedded:
    """Embeds SVG files, in order, as long as there is room."""

    read: Read
    total: int = 0

    def figure(self, path: str, alt: str) -> EmbeddedFigure | None:
        """Return the figure; None where there is no such file."""
        content = self.read(path)
        if content is None:
            return None
        if self.total + len(content) > MOST_BYTES:
            return EmbeddedFigure(alt, quote(path), None)
        self.total += len(content)
        # An image of its own, so that names inside it meet no others in the page.
        source = f"data:image/svg+xml;base64,{base64.b64encode(content).decode()}"
        return EmbeddedFigure(alt, quote(path), source)
