"""Records into Markdown tables, the same bytes on every machine."""

from __future__ import annotations

from pathlib import Path

from harness.report.markdown import table
from harness.store import Store, write_whole

__all__ = ["table", "write"]


def write(store: Store, folder: str) -> tuple[Path, list[str]]:
    """Write `table.md` of one folder of results; return its path and what could not be read."""
    suite = store.load_suite(folder)
    found = store.find_all(suite)
    path = store.root / folder / "table.md"
    write_whole(path, table(suite, found).encode())
    return path, [each.error for each in found if each.error]
