"""Digests of the data that records were made from: which one counts in a folder, and which records are stale.

A suite's `data_digest` is that of the data with which it last ran; a record with another one is stale.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from harness.config.suite import Suite
from harness.results.record import Record

_DIGEST = re.compile(r'"data_digest":\s*"([0-9a-f]+)"')
_ENDED = re.compile(r'"ended_at":\s*"([^"]+)"')


def other_data(record: Record, expected: str) -> str:
    """Return the digest of a record's data if it is known to differ from the expected one; else empty."""
    is_known = bool(record.data_digest and expected) and record.status != "failed"
    return record.data_digest if is_known and record.data_digest != expected else ""


def latest(paths: Iterable[Path]) -> str:
    """Return the data digest of the record that ended last; empty unless there are several digests.

    It is used for a folder whose suite.json, of an earlier version, has no digest.
    """
    found: dict[str, str] = {}
    for path in paths:
        with contextlib.suppress(OSError, ValueError):
            text = path.read_text(encoding="utf-8")
            start = max(0, text.find('"data_digest"'))  # many times as fast as the expression
            if (digest := _DIGEST.search(text, start)) and (ended := _ENDED.search(text, start)):
                found[digest[1]] = max(ended[1], found.get(digest[1], ""))
    return max(found, key=lambda digest: (found[digest], digest)) if len(found) > 1 else ""


def change(suite: Suite, before: str) -> list[str]:
    """Return a sentence if a suite's data have changed since it last ran."""
    if not before or not suite.data_digest or before == suite.data_digest:
        return []
    size = suite.dataset.resize
    name = f"{suite.dataset.title} at {size} x {size} pixels" if size else suite.dataset.title
    return [
        f"{suite.folder}: the data of {name} are not those with which it last ran: found the digest "
        f"{suite.data_digest[:8]}…, expected {before[:8]}…"
    ]


def stale_texts(suite: Suite, stale: Iterable[tuple[str, str]]) -> list[str]:
    """Return a sentence for each experiment with stale records, given as its name and the records' data."""
    return [
        f"{suite.folder}/{name}: {count} record{'s are' if count > 1 else ' is'} stale, made from other data "
        f"(digest {digest[:8]}…, the suite's is {suite.data_digest[:8]}…): kept, in no figure, trained again "
        "by a run"
        for (name, digest), count in Counter(stale).items()
    ]
