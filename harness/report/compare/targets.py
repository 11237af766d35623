"""Targets of a comparison: an experiment, a suite's results, or a folder of several of those."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.errors import UsageError, nearest
from harness.report.aggregate import row_of
from harness.report.compare.side import Side
from harness.results.seed_rule import by_experiment
from harness.results.store import Store

TargetKind = Literal["a folder of several suites", "a suite", "an experiment"]


@dataclass(frozen=True)
class Target:
    """Location of one side's records; `label` is how the user named it."""

    label: str
    kind: TargetKind
    store: Store
    folder: str = ""
    experiment: str = ""

    def sides(self) -> Iterator[tuple[str, Side]]:
        """Yield every experiment by its name, which includes the suite's if there may be several suites."""
        for folder in [self.folder] if self.folder else self.store.folders():
            suite = self.store.load_suite(folder)
            for name, trials in by_experiment(suite).items():
                if self.experiment in ("", name):
                    side = Side(suite, row_of(self.store, suite, trials))
                    yield name if self.folder else f"{folder}/{name}", side


def find(label: str, results: Path) -> Target:
    """Return the target at a path, relative to the current folder or to the folder of results.

    Raise UsageError if there are no results.
    """
    if not label.strip():
        raise UsageError(f"found {label!r}, expected a folder of results, a suite's or an experiment's")
    paths = [Path(os.path.abspath(path)) for path in (label, results / label)]
    try:
        for path in paths:
            if (place := _place(label, path)) is not None:
                return place
        raise UsageError(f"{label}: {_missing(label, paths, results)}")
    except OSError as error:
        raise UsageError(f"{label}: cannot be read: {error.strerror}") from None


def _place(label: str, path: Path) -> Target | None:
    if (path / "suite.json").is_file():
        return Target(label, "a suite", Store(path.parent), path.name)
    if (path.parent / "suite.json").is_file():
        store, folder = Store(path.parent.parent), path.parent.name
        if path.name in store.load_suite(folder).experiments:
            return Target(label, "an experiment", store, folder, path.name)
    return Target(label, "a folder of several suites", Store(path)) if Store(path).folders() else None


def _missing(label: str, paths: list[Path], results: Path) -> str:
    for path in paths:
        if (path.parent / "suite.json").is_file():
            known = Store(path.parent.parent).load_suite(path.parent.name).experiments
            return f"no such experiment in {path.parent.name}; {nearest(path.name, known)}"
    what = "no results there (a suite's have a suite.json)" if paths[0].exists() else "no such results"
    return f"{what}; in {results}: {nearest(label.partition('/')[0], Store(results).folders())}"
