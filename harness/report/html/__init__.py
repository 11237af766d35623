"""Self-contained HTML page of all results: tables, figures, and every seed behind a cell."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING
from urllib.parse import quote

from harness.report.aggregate import SuiteResults
from harness.report.html.embedded import Embedded, Read
from harness.report.html.seeds import MEASURED, curves, metric_titles
from harness.report.html.sparkline import HEIGHT, WIDTH
from harness.report.html.suite_view import SuiteView, counts
from harness.report.table import Table
from harness.results.metrics import OF_EPOCH

if TYPE_CHECKING:
    from jinja2 import Template

_NUMBER = re.compile(r"[+−-]?\d[\d,]*(\.\d+)?")
_TIES = re.compile(r"(?<=[±=]) (?=\d)|(?<=of) (?=\d)|(?<=seed) (?=\d)| (?=[%/]|\(\d|of \d|to [\d+-])")


def page(contents: Sequence[SuiteResults], tables: Sequence[Table], read: Read) -> str:
    """Return the page: the same bytes for the same records and figures.

    `read` returns the bytes of a file by its path within the results, None if it is missing.
    """
    embedded = Embedded(read)
    known = {name for each in contents for name in each.recorded}
    metrics = [name for name in OF_EPOCH if name in known]
    suites = [
        SuiteView.of(each, table, embedded, metrics) for each, table in zip(contents, tables, strict=True)
    ]
    style, script = _asset("page.css"), _asset("page.js")
    return _template().render(
        suites=suites,
        totals=counts(row for each in contents for row in each.rows),
        experiments=sum(len(each.rows) for each in contents),
        metrics=metric_titles(metrics),
        curves=[metric.title for metric in curves()],
        measured=MEASURED,
        width=WIDTH,
        height=HEIGHT,
        style=style,
        script=script,
        hashes={"style": _hash(style), "script": _hash(script)},
    )


def _number(text: str) -> str:
    """Return the number with which a text begins, for sorting; empty if it begins otherwise."""
    found = _NUMBER.match(text)
    return found.group().replace(",", "").replace("−", "-").lstrip("+") if found else ""


def _tied(text: str) -> str:
    """Keep numbers on one line with their signs, units and counts."""
    return _TIES.sub("\N{NO-BREAK SPACE}", text)


def _asset(name: str) -> str:
    return resources.files("harness.report.html").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the source expression of a content security policy that allows exactly this text."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": _number,
        "tied": _tied,
        "urlquote": quote,
        "marked": lambda state: "missing" if state == "stale" else state,  # no figure counts either
    }
    return environment.from_string(_asset("page.html.j2"))
