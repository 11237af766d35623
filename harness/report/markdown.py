"""Markdown output of a table."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.table import Cell, Table


def document(table: Table, pictures: Sequence[str] = ()) -> str:
    """Return the title, the table with its notes, and the figures, each as Markdown."""
    parts = [f"## {escaped(table.title)}", body(table), *pictures]
    return "\n\n".join(parts) + "\n"


def body(table: Table) -> str:
    """Return the table, its footnotes and the sentences on its sources."""
    rule = ["---"] * len(table.header)
    lines = [line(table.header), line(rule)]
    lines += [line([_cell(cell, table.label) for cell in cells]) for cells in table.lines]
    footnotes = [f"[^{table.label}-{number}]: {note}" for number, note in enumerate(table.notes, 1)]
    source = [" ".join(line.split()) for line in table.source]
    sentences = [line + "\\" for line in source[:-1]] + source[-1:]
    return "\n\n".join("\n".join(part) for part in (lines, footnotes, sentences) if part)


def picture(alt: str, path: str) -> str:
    """Return the link of a figure."""
    return f"![{escaped(alt)}]({path})"


def _cell(cell: Cell, label: str) -> str:
    text = f"**{cell.text}**" if cell.bold else cell.text
    note = "" if cell.note is None else f"[^{label}-{cell.note}]"
    return f"{text}{cell.after}{note}"


def line(cells: Sequence[str]) -> str:
    """Return a line of a table."""
    return "| " + " | ".join(escaped(cell) for cell in cells) + " |"


def escaped(text: str) -> str:
    """Return the text escaped for a cell, on one line."""
    return " ".join(text.replace("|", "\\|").split())
