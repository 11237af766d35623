"""LaTeX output of a table, for the packages booktabs and array."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from harness.report.columns import Cell
from harness.report.table import Table

T = TypeVar("T")

_CHARACTERS = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\N{NO-BREAK SPACE}": "~",
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
_BREAK = re.compile(r"(?<=[,=/])(?=\S)")  # in a name without spaces
_GAP = 0.0175  # between columns, as a fraction of the line


def document(table: Table) -> str:
    """Return a table environment as wide as the line, with the title as its caption and the notes below.

    The column of settings that rows share is too wide for a page, and becomes a note.
    """
    header = _without_settings(table.header)
    columns = (rf">{{\raggedright\arraybackslash}}p{{{width:.3f}\linewidth}}" for width in _widths(table))
    lines = [
        r"\begin{table}",
        r"\scriptsize\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{escaped(table.title)}}}",
        rf"\label{{tab:{table.label}}}",
        rf"\begin{{tabular}}{{@{{}}{''.join(columns)}@{{}}}}",
        r"\toprule",
        _line(list(map(escaped, header))),
        r"\midrule",
        *(_line(list(map(_cell, _without_settings(cells)))) for cells in table.lines),
        r"\bottomrule",
        r"\end{tabular}",
        r"\par\smallskip",
        *(rf"\textsuperscript{{{number}}} {escaped(note)}\par" for number, note in enumerate(table.notes, 1)),
        *(rf"{escaped(sentence)}\par" for sentence in [*_settings(table), *table.source]),
        r"\end{table}",
    ]
    return "\n".join(["% Needs the packages booktabs and array.", *lines]) + "\n"


def escaped(text: str) -> str:
    """Return the text escaped for LaTeX."""
    words = " ".join(text.split()).replace(" %", "\N{NO-BREAK SPACE}%")
    return "".join(_CHARACTERS.get(character, character) for character in words)


def _widths(table: Table) -> list[float]:
    """Return each column's fraction of the line, in proportion to its longest word."""
    texts = [_without_settings(table.header)]
    texts += [[cell.text + cell.after for cell in _without_settings(cells)] for cells in table.lines]
    longest = [
        max(_width(word) for text in column for word in _broken(text.replace(" %", "~%")).split())
        for column in zip(*texts, strict=True)
    ]
    free = 1 - _GAP * (len(longest) - 1)
    return [free * each / sum(longest) for each in longest]


def _width(word: str) -> float:
    return sum(1.4 if character.isupper() else 1 for character in word)


def _broken(text: str) -> str:
    return _BREAK.sub(" ", text)


def _without_settings(cells: Sequence[T]) -> list[T]:
    return [*cells[:1], *cells[2:]]


def _settings(table: Table) -> list[str]:
    given = [(name.text, settings.text) for name, settings, *_ in table.lines if settings.text != "″"]
    if len(given) == 1:
        return [f"{table.header[1]}: {given[0][1]}."]
    return [f"{table.header[1]} from {name} on: {text}." for name, text in given]


def _cell(cell: Cell) -> str:
    text = r"\allowbreak{}".join(map(escaped, _BREAK.split(cell.text)))
    text = rf"\textbf{{{text}}}" if cell.bold else text
    note = "" if cell.note is None else rf"\textsuperscript{{{cell.note}}}"
    return f"{text}{escaped(cell.after)}{note}"


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
