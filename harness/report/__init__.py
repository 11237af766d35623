"""Records into Markdown tables, the same bytes on every machine."""

from __future__ import annotations

from pathlib import Path

from harness.files import write_whole
from harness.report.cells import Entry
from harness.report.markdown import table
from harness.store import Store

__all__ = ["table", "write"]


def write(store: Store, folder: str) -> tuple[Path, list[str]]:
    """Write `table.md` of one folder of results; return its path and what could not be read."""
    suite = store.load_suite(folder)
    entries = [Entry.of(store.find(trial)) for trial in suite.trials()]
    path = store.root / folder / "table.md"
    write_whole(path, table(suite, entries).encode())
    return path, [each.error for each in entries if each.error]
