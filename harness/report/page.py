"""All results as one HTML file that needs nothing else: tables, figures, and every seed behind a cell."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from harness.report import rerun
from harness.report.contents import Contents, Row
from harness.report.layout import DIGITS, Cell, Table
from harness.report.seeds import VALUES, Seeds, seeds_of
from harness.report.sparkline import HEIGHT, WIDTH

if TYPE_CHECKING:
    from jinja2 import Template

_MOST_EMBEDDED = 24 * 2**20  # bytes of figures; those beyond are linked
_NUMBER = re.compile(r"[+−-]?\d[\d,]*(\.\d+)?")
_TIES = re.compile(r"(?<=[±=/]) (?=\d)| (?=[%/(])")
_WORDS = {"left": "missing"}

Read = Callable[[str], bytes | None]


def page(contents: Sequence[Contents], tables: Sequence[Table], read: Read) -> str:
    """Return the page: the same bytes for the same records and files.

    `read` returns the bytes of a file by its path within the results, None where it is missing.
    """
    figures = _Figures(read)
    suites = [_Suite.of(each, table, figures) for each, table in zip(contents, tables, strict=True)]
    style, script = _asset("page.css"), _asset("page.js")
    return _template().render(
        suites=suites,
        totals=_counts(row for each in contents for row in each.rows),
        experiments=sum(len(each.rows) for each in contents),
        values=VALUES,
        width=WIDTH,
        height=HEIGHT,
        style=style,
        script=script,
        hashes={"style": _hash(style), "script": _hash(script)},
    )


@dataclass(frozen=True)
class _Figure:
    """A picture in the page, or the path of one that stands beside it."""

    alt: str
    path: str
    source: str | None


@dataclass
class _Figures:
    """Embeds SVG files, in order, until they would make the page too large."""

    read: Read
    embedded: int = 0

    def figure(self, path: str, alt: str) -> _Figure | None:
        """Return the figure; None where there is no such file."""
        content = self.read(path)
        if content is None:
            return None
        if self.embedded + len(content) > _MOST_EMBEDDED:
            return _Figure(alt, quote(path), None)
        self.embedded += len(content)
        return _Figure(alt, quote(path), f"data:image/svg+xml;base64,{base64.b64encode(content).decode()}")


@dataclass(frozen=True)
class _Experiment:
    """A row of a suite with all that is behind its cells."""

    name: str
    anchor: str
    result: Cell
    counts: Mapping[str, int]
    settings: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    figure: _Figure | None
    seeds: Seeds
    again: str
    rest: str | None


@dataclass(frozen=True)
class _Line:
    """A line of a suite's table; `is_mean` where it sums up those before."""

    cells: Sequence[Cell]
    anchor: str
    is_mean: bool


@dataclass(frozen=True)
class _Suite:
    """A suite's table, cut into the groups within which its lines sort, and its experiments."""

    anchor: str
    table: Table
    file: str
    counts: Mapping[str, int]
    common: Sequence[tuple[str, str]]
    columns: Sequence[int]
    groups: Sequence[Sequence[_Line]]
    figure: _Figure | None
    experiments: Sequence[_Experiment] = field(default_factory=list)

    @classmethod
    def of(cls, contents: Contents, table: Table, figures: _Figures) -> _Suite:
        """Return what the page shows of a suite."""
        lines = _spelled_out(table)
        common = [column for column in range(1, len(table.header)) if _is_common(table, lines, column)]
        groups = list(_groups(contents, lines))
        comparison = figures.figure(
            f"{table.folder}/comparison.svg",
            f"The experiments of {table.folder} compared; the table has the figures",
        )
        result = table.header.index("Final testing accuracy")
        return cls(
            anchor=_anchor(table.folder),
            table=table,
            file=f"{contents.suite.suite}.yaml",
            counts=_counts(contents.rows),
            common=[(table.header[column], lines[0][column].text) for column in common],
            columns=[column for column in range(len(table.header)) if column not in common],
            groups=groups
            if contents.suite.table.style == "runs"
            else [[line for group in groups for line in group]],
            figure=comparison,
            experiments=[
                _experiment(contents, row, group[-1].cells[result], figures)
                for row, group in zip(contents.rows, groups, strict=True)
            ],
        )


def _experiment(contents: Contents, row: Row, result: Cell, figures: _Figures) -> _Experiment:
    folder = contents.suite.folder
    alt = f"Training loss, training and testing accuracy of {row.name} by epoch; the seeds' table has figures"
    return _Experiment(
        name=row.name,
        anchor=_anchor(folder, row.name),
        result=result,
        counts=_counts([row]),
        settings=list(_settings(row.entries[0].trial.settings.model_dump())) if row.entries else [],
        figure=figures.figure(f"{folder}/{row.name}/curves.svg", alt),
        seeds=seeds_of(row, DIGITS[contents.suite.table.style]),
        again=rerun.again(contents, row),
        rest=rerun.rest(contents, row),
    )


def _groups(contents: Contents, lines: Sequence[Sequence[Cell]]) -> Iterator[list[_Line]]:
    """Yield each experiment's lines of the table."""
    is_runs = contents.suite.table.style == "runs"
    at = 0
    for row in contents.rows:
        anchor = _anchor(contents.suite.folder, row.name)
        size = len(row.entries) + 1 if is_runs else 1
        own = lines[at : at + size]
        yield [_Line(cells, anchor, is_runs and cells is own[-1]) for cells in own]
        at += size


def _spelled_out(table: Table) -> list[list[Cell]]:
    """Return the table's lines with what a ditto mark stands for: lines that sort have no line above."""
    lines: list[list[Cell]] = []
    for cells in table.lines:
        above = lines[-1] if lines else cells
        lines.append([old if cell.text == "″" else cell for cell, old in zip(cells, above, strict=True)])
    return lines


def _is_common(table: Table, lines: Sequence[Sequence[Cell]], column: int) -> bool:
    return "yper-parameters" in table.header[column] and len({cells[column].text for cells in lines}) == 1


def _settings(settings: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the sections of settings, each with dotted keys and values."""
    for section, values in settings.items():
        yield section, list(_leaves(values))


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)


def _counts(rows: Sequence[Row] | Iterator[Row]) -> dict[str, int]:
    """Return how many trials there are, and how many in each state that is not done."""
    states = Counter(_WORDS.get(each.state, each.state) for row in rows for each in row.entries)
    done = states.pop("done", 0)
    return {"all": done + states.total(), "done": done, **dict(sorted(states.items()))}


def _anchor(*names: str) -> str:
    return quote("/".join(names), safe="/@=,+")


def _number(text: str) -> str:
    """Return the number with which a text begins, for sorting; nothing where it begins otherwise."""
    found = _NUMBER.match(text)
    return found.group().replace(",", "").replace("−", "-").lstrip("+") if found else ""


def _tied(text: str) -> str:
    """Keep figures with their signs, units and counts where lines break."""
    return _TIES.sub("\N{NO-BREAK SPACE}", text)


def _asset(name: str) -> str:
    return resources.files("harness.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the source expression of a content security policy that allows exactly this text."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"number": _number, "tied": _tied, "urlquote": quote}
    return environment.from_string(_asset("page.html.j2"))
