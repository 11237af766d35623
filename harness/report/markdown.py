"""Markdown output of a table."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harness.report.columns import Cell
from harness.report.table import Table

# What Markdown or GitHub reads as more than itself; underscores within words, as of settings, are left.
_SPECIAL = re.compile(
    r"[\\`*~|<$]|(?<![^\W_])_|_(?![^\W_])|\[(?=\^)|(?<=\])[(\[]|&(?=#?\w+;)|#(?=#*$)", re.ASCII
)
_ADDRESS = re.compile(r"(https?://[^\s<>|]+)")


def document(table: Table, pictures: Sequence[str] = ()) -> str:
    """Return the title, the table with its notes, and the figures, each as Markdown."""
    parts = [f"## {escaped(table.title)}", body(table), *pictures]
    return "\n\n".join(parts) + "\n"


def body(table: Table) -> str:
    """Return the table, its footnotes and the sentences on its sources."""
    rule = ["---"] * len(table.header)
    lines = [line(list(map(escaped, table.header))), line(rule)]
    lines += [line([_cell(cell, table.label) for cell in cells]) for cells in table.lines]
    footnotes = [f"[^{table.label}-{number}]: {escaped(note)}" for number, note in enumerate(table.notes, 1)]
    source = [escaped(line) for line in table.source]
    sentences = [line + "\\" for line in source[:-1]] + source[-1:]
    return "\n\n".join("\n".join(part) for part in (lines, footnotes, sentences) if part)


def picture(alt: str, path: str) -> str:
    """Return the link of a figure."""
    return f"![{escaped(alt)}]({path})"


def _cell(cell: Cell, label: str) -> str:
    text = f"**{escaped(cell.text)}**" if cell.bold else escaped(cell.text)
    note = "" if cell.note is None else f"[^{label}-{cell.note}]"
    return f"{text}{escaped(cell.after)}{note}"


def line(cells: Sequence[str]) -> str:
    """Return a line of a table, of cells in Markdown."""
    return "| " + " | ".join(cells) + " |"


def escaped(text: str) -> str:
    """Return plain text as Markdown that shows it, on one line; web addresses stay what they are."""
    parts = _ADDRESS.split(" ".join(text.split()))
    return "".join(part if at % 2 else _SPECIAL.sub(r"\\\g<0>", part) for at, part in enumerate(parts))
