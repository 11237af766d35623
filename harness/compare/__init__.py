"""Two folders of results beside each other: what differs, by how much, and whether that may be concluded."""

from __future__ import annotations

from harness.compare.markdown import text
from harness.compare.pairing import table
from harness.compare.regression_gate import broken, guards, passed_over, unjudged
from harness.compare.targets import find

__all__ = ["broken", "find", "guards", "passed_over", "table", "text", "unjudged"]
