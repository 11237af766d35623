"""Markdown: plain text escaped, and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

# What Markdown or GitHub reads as more than itself; underscores within words, as of settings, are left.
_SPECIAL = re.compile(
    r"[\\`*~|<$]|(?<![^\W_])_|_(?![^\W_])|\[(?=\^)|(?<=\])[(\[]|&(?=#?\w+;)|#(?=#*$)", re.ASCII
)
_ADDRESS = re.compile(r"(https?://[^\s<>|]+)")


def escaped(text: str) -> str:
    """Return plain text as Markdown that shows it, on one line; web addresses stay what they are."""
    parts = _ADDRESS.split(" ".join(text.split()))
    return "".join(part if at % 2 else _SPECIAL.sub(r"\\\g<0>", part) for at, part in enumerate(parts))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown already."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))
