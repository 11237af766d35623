"""Edits of a suite since it was last run, in a sentence for people."""

from __future__ import annotations

from harness.config.suite import Suite
from harness.errors import StoreError, UsageError
from harness.results.store import Store


def is_edited(store: Store, suite: Suite) -> bool:
    """Return whether the suite.json of a suite's results differs from the suite, or cannot be read."""
    try:
        return store.load_suite(suite.folder).content != suite.content
    except (UsageError, StoreError):
        return True


def since_last_run(store: Store, suite: Suite) -> list[str]:
    """List a sentence if a suite has changed since it last ran, with the number of stale records."""
    try:
        known = store.load_suite(suite.folder)
    except (UsageError, StoreError):  # never run, or suite.json is unreadable
        return []
    if known.content == suite.content:
        return []
    count = len(store.stale(suite))
    records = f"{count} records are" if count > 1 else "1 record is"
    stale = f"; {records} stale, of settings that it no longer has: kept, in no table" if count else ""
    return [f"{suite.folder}: the suite has changed since it was last run{stale}"]
