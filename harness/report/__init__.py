"""Records into Markdown tables, the same bytes on every machine."""

from __future__ import annotations

from pathlib import Path

from harness.files import write_whole
from harness.report import latex, markdown, numbers
from harness.report.contents import Contents
from harness.report.layout import layout
from harness.store import Store

__all__ = ["write"]


def write(store: Store, folder: str) -> tuple[Path, list[str]]:
    """Write the files of one folder of results; return its table's path and what could not be read."""
    contents = Contents.of(store, folder)
    table = layout(contents)
    texts = {
        "table.md": markdown.document(table),
        "table.tex": latex.document(table),
        "table.csv": numbers.table(contents),
        "epochs.csv": numbers.epochs(contents),
    }
    for name, text in texts.items():
        write_whole(store.root / folder / name, text.encode())
    return store.root / folder / "table.md", contents.unreadable
