"""Comparison of two folders of results: differences, their intervals and verdicts."""

from __future__ import annotations

from harness.report.compare.markdown import text
from harness.report.compare.pairing import table
from harness.report.compare.regression_gate import broken, gates, passed_over, unjudged
from harness.report.compare.targets import find

__all__ = ["broken", "find", "gates", "passed_over", "table", "text", "unjudged"]
