"""Two folders of results beside each other: what differs, by how much, and whether that may be concluded."""

from __future__ import annotations

from harness.compare.guard import broken, guards, passed_over, unjudged
from harness.compare.markdown import text
from harness.compare.place import find
from harness.compare.row import table

__all__ = ["broken", "find", "guards", "passed_over", "table", "text", "unjudged"]
