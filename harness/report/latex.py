"""A table as LaTeX, for the packages booktabs and graphicx."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.layout import Cell, Table

_CHARACTERS = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "″": "''",
    "–": "--",
}


def document(table: Table) -> str:
    """Write a table environment, with the title as its caption and the notes below."""
    lines = [
        r"\begin{table}",
        rf"\caption{{{escaped(table.title)}}}",
        rf"\label{{tab:{table.folder}}}",
        r"\resizebox{\linewidth}{!}{%",
        rf"\begin{{tabular}}{{{'l' * len(table.header)}}}",
        r"\toprule",
        _line(list(map(escaped, table.header))),
        r"\midrule",
        *(_line(list(map(_cell, cells))) for cells in table.lines),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\par\smallskip\footnotesize",
        *(rf"\textsuperscript{{{number}}} {escaped(note)}\par" for number, note in enumerate(table.notes, 1)),
        *(rf"{escaped(sentence)}\par" for sentence in table.source),
        r"\end{table}",
    ]
    return "\n".join(["% Needs the packages booktabs and graphicx.", *lines]) + "\n"


def escaped(text: str) -> str:
    """Return the text as LaTeX shows it."""
    return "".join(_CHARACTERS.get(character, character) for character in " ".join(text.split()))


def _cell(cell: Cell) -> str:
    text = rf"\textbf{{{escaped(cell.text)}}}" if cell.bold else escaped(cell.text)
    note = "" if cell.note is None else rf"\textsuperscript{{{cell.note}}}"
    return f"{text}{escaped(cell.after)}{note}"


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
