"""One side of a compared row: an experiment of a suite with its trials."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from harness.config.suite import Suite
from harness.report.aggregate import Entry, Row


@dataclass(frozen=True)
class Side:
    """An experiment's trials, as a report reads them."""

    suite: Suite
    row: Row

    @cached_property
    def done(self) -> dict[int, Entry]:
        """Return the trials that are done, by seed."""
        return {each.seed: each for each in self.row.done}
