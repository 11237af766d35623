"""Pages of made-up results, and a reader of their structure."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from harness.config.suite import Suite
from harness.report.aggregate import SuiteResults
from harness.report.html import page
from harness.report.table import layout
from harness.results.store import Store
from tests.support.filled_stores import full
from tests.support.records import SUITE, suite_of

SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="300" height="100">'
    b'<path id="a" d="M0 0L300 100" stroke="red"/></svg>'
)
HOSTILE = "</script></style></title><img src=x onerror=\"document.title='owned'\">{{ 7 * 7 }}"


def page_of(store: Store) -> str:
    """Return the page of all that the store holds."""
    contents = [SuiteResults.of(store, folder) for folder in store.folders()]
    return page(contents, [layout(each) for each in contents], lambda path: read(store.root / path))


def read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def stored(folder: Path, text: str = SUITE, fill: Any = full, **changes: Any) -> tuple[Store, Suite]:
    """Store a suite and its records."""
    suite = suite_of(folder, text).model_copy(update=changes)
    store = Store(folder / "results")
    store.save_suite(suite)
    fill(store, suite)
    return store, suite


class Structure(HTMLParser):
    """Collects elements with their attributes, and complains where they are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "path"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("style", "script"):
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())
