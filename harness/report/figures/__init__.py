"""Figures of a suite: the data of each, its digest, and its bytes as SVG and PNG."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.report.aggregate import SuiteResults
from harness.report.figures.comparison import Comparison
from harness.report.figures.curves import Curves

# Increased when figures of the same data come to look different.
FORMAT = 1
_DIGEST = re.compile(rb"harness-digest:([0-9a-f]{64})")


@dataclass(frozen=True)
class Figure:
    """A figure, with the data that it shows."""

    shown: Curves | Comparison

    @property
    def path(self) -> str:
        """Return its path within the suite's results, without a suffix."""
        return self.shown.path

    @cached_property
    def alt(self) -> str:
        """Describe the figure in words, as the alternative text of its image."""
        return self.shown.alt()

    @cached_property
    def digest(self) -> str:
        """Hash the data that it shows, each number to ten digits, so that it is the same on every machine.

        Its bytes are not hashed, as they differ between versions of matplotlib.
        """
        text = json.dumps([FORMAT, type(self.shown).__name__, _plain(self.shown)], separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def draw(self) -> dict[str, bytes]:
        """Draw it as `svg` and `png`, each with the digest inside."""
        from harness.report.figures import comparison_plot, curves_plot, style  # they load matplotlib

        def build() -> Any:
            if isinstance(self.shown, Curves):
                return curves_plot.picture(self.shown)
            return comparison_plot.picture(self.shown)

        return style.bytes_of(build, f"harness-digest:{self.digest}")


def figures(contents: SuiteResults) -> list[Figure]:
    """List a suite's figures, if it wants any: the comparison, then the curves of each with done trials."""
    if not contents.suite.table.figures:
        return []
    shown = [Comparison.of(contents), *(Curves.of(contents, row) for row in contents.rows)]
    return [Figure(each) for each in shown if each]


def digest_in(content: bytes) -> str | None:
    """Return the digest inside an SVG or PNG file of ours, None if there is none."""
    found = _DIGEST.search(content)
    return found[1].decode() if found else None


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value + 0.0:.10g}"
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if dataclasses.is_dataclass(value):
        shown = [(field, getattr(value, field.name)) for field in dataclasses.fields(value) if field.compare]
        return [
            _plain(each)
            for field, each in shown
            if field.metadata.get("unhashed", dataclasses.MISSING) != each
        ]
    return value
