"""Markdown output of a table."""

from __future__ import annotations

from collections.abc import Sequence

from harness import markdown
from harness.markdown import escaped
from harness.report.columns import Cell
from harness.report.table import Table


def document(table: Table, pictures: Sequence[str] = ()) -> str:
    """Return the title, the table with its notes, and the figures, each as Markdown."""
    parts = [f"## {escaped(table.title)}", body(table), *pictures]
    return "\n\n".join(parts) + "\n"


def body(table: Table) -> str:
    """Return the table, its footnotes and the sentences on its sources."""
    rows = [[_cell(cell, table.label) for cell in cells] for cells in table.lines]
    lines = markdown.table(list(map(escaped, table.header)), rows)
    footnotes = [f"[^{table.label}-{number}]: {escaped(note)}" for number, note in enumerate(table.notes, 1)]
    source = [escaped(line) for line in table.source]
    sentences = [line + "\\" for line in source[:-1]] + source[-1:]
    return "\n\n".join([lines, *("\n".join(part) for part in (footnotes, sentences) if part)])


def picture(alt: str, path: str) -> str:
    """Return the link of a figure."""
    return f"![{escaped(alt)}]({path})"


def _cell(cell: Cell, label: str) -> str:
    text = f"**{escaped(cell.text)}**" if cell.bold else escaped(cell.text)
    note = "" if cell.note is None else f"[^{label}-{cell.note}]"
    return f"{text}{escaped(cell.after)}{note}"
