"""`harness export`: finished trials from their records to a tracker."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import TRACKER_NAMES, Changes, Results, SuiteNames
from harness.cli.suites import resolved
from harness.results.store import Store


def export(
    tracker: Annotated[
        str, typer.Argument(help=f"{TRACKER_NAMES}, or your own package.module:callable.", show_default=False)
    ],
    suites: SuiteNames = None,
    changes: Changes = None,
    results: Results = Path("results"),
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Where a tracker of files keeps them. Default: RESULTS/.logs/TRACKER."),
    ] = None,
) -> None:
    """Send every epoch of the finished trials to a tracker, replacing what it stored of them before."""
    from harness import tracking

    store = Store(results)
    open_tracker = tracking.opener("export", tracker)
    root = to or tracking.default_root(store, tracker)
    exported, troubles = 0, list[str]()
    for suite in resolved(store, suites, changes):
        count, messages = tracking.export(store, suite, open_tracker, root)
        exported, troubles = exported + count, troubles + messages
        print(f"{suite.folder}: {count} trial{'s' * (count != 1)} exported")  # noqa: T201
    if exported and (ours := tracking.built_in(tracker)):
        print(f"they are shown by: {ours.viewer} {shlex.quote(str(root))}")  # noqa: T201
    for message in troubles:
        print(message, file=sys.stderr)  # noqa: T201
    raise typer.Exit(int(bool(troubles)))
