"""Commands that train nothing: plan, status, report, schema."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import (
    Changes,
    Check,
    Html,
    Into,
    Results,
    SuiteNames,
    Suites,
)
from harness.cli.suites import followed, loaded, of_files, resolved
from harness.config.published_rounding import coarse
from harness.config.suite import Suite
from harness.errors import UsageError
from harness.results.edits import since_last_run
from harness.results.store import Store
from harness.results.user_code_hash import UserCodes
from harness.standard_streams import raising


def plan(suites: Suites, changes: Changes = None, results: Results = Path("results")) -> None:
    """List every trial with its state and its estimated time; train nothing."""
    from harness.data import cache_folder
    from harness.results import estimates
    from harness.runner.suite_data import with_digest_at_hand
    from harness.runner.timing_cache import TimingCache

    codes = UserCodes()
    store, paces = Store(results), TimingCache(cache_folder(os.environ) / "paces").latest()
    for loaded_suite in loaded(suites, changes, store):
        suite = with_digest_at_hand(
            store,
            loaded_suite,
            os.environ,
            lambda text: print(text, file=sys.stderr),  # noqa: T201
        )
        print(estimates.plan_text(suite, estimates.plan(store, suite, paces)))  # noqa: T201
        for text in (*_since(store, suite, codes), *coarse(suite)):
            print(text)  # noqa: T201


def _since(store: Store, suite: Suite, codes: UserCodes) -> Iterator[str]:
    """Yield what has changed since the suite's records were made, in sentences."""
    from harness.results import code_changes
    from harness.results.data_digests import change

    yield from since_last_run(store, suite)
    yield from change(suite, store.data_digest(suite))
    yield from code_changes.sentences(store, suite, codes)
    yield from code_changes.kept_aside(store, suite)


def status(
    suites: SuiteNames = None,
    changes: Changes = None,
    results: Results = Path("results"),
    follow: Annotated[
        bool, typer.Option("--follow", help="Show the trials under way too, until nothing is left to train.")
    ] = False,
) -> None:
    """Count the trials by state: done, failed, diverged, left to train, stale."""
    from harness.results import estimates
    from harness.runner.suite_data import with_prepared_digest

    store = Store(results)
    if follow:
        raise typer.Exit(_follow(store, *followed(store, suites, changes)))
    codes = UserCodes()
    known = [with_prepared_digest(store, suite, os.environ) for suite in resolved(store, suites, changes)]
    states = [estimates.status(store, suite) for suite in known]
    print(estimates.status_text(states))  # noqa: T201
    for suite in known:
        for text in _since(store, suite, codes):
            print(text)  # noqa: T201
    raise typer.Exit(int(any(state.is_troubled for state in states)))


def _follow(store: Store, names: Callable[[], list[str]], given: Mapping[str, Suite]) -> int:
    """Follow until nothing is left, a signal arrives or the output is closed; return the exit code."""
    from harness.tracking.monitor import follow, view_for
    from harness.tracking.monitor.monitor import Monitor

    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # the terminal is restored first
    try:
        monitor = Monitor(store, names, time.monotonic, given)
        return int(follow(monitor, view_for(raising(sys.stdout)), time.sleep))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except OSError:  # a closed pipe or terminal; reading the results never raises it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def report(
    suites: SuiteNames = None,
    changes: Changes = None,
    results: Results = Path("results"),
    into: Into = None,
    check: Check = False,
    html: Html = False,
) -> None:
    """Write tables and figures again, from the records alone.

    Each suite's folder gets table.md, .tex and .csv, epochs.csv (every epoch of every trial), and figures. A
    suite given as a file is reported as the file is now, and suite.json is updated.
    """
    from harness import report as reports

    store = Store(results)
    known = resolved(store, suites, changes)
    files = changed = unreadable = 0
    if not known:
        raise UsageError(f"{results}: found no results in it; run a suite first, or give --results")
    given = of_files(store, suites, known)
    _tell_what_lacks(store, given.values())
    page = reports.wants_page(results, asked=html)
    folders = [suite.folder for suite in known]
    for each in reports.outputs(store, folders, into or [], page=page, to_write=not check, given=given):
        if isinstance(each, str):
            print(each, file=sys.stderr)  # noqa: T201
            unreadable += 1
            continue
        files += 1
        if difference := each.difference() if check else "":
            print(difference)  # noqa: T201
            changed += 1
        elif not check and each.write():
            print(each.path)  # noqa: T201
            changed += 1
    advice = "; without --check they are written"
    outcome = f"not as the records say{advice if changed else ''}" if check else "changed"
    print(f"{files} tables and figures, {changed} {outcome}")  # noqa: T201
    raise typer.Exit(int(bool(unreadable or (check and changed))))


def _tell_what_lacks(store: Store, suites: Iterable[Suite]) -> None:
    """Say how much of each suite file is not trained; raise UsageError for one that was never run."""
    from harness.results import estimates

    for suite in suites:
        if suite.folder not in store.folders() and not store.files(suite.folder):
            found = ", ".join(store.folders()) or "none"
            raise UsageError(
                f"{store.root / suite.folder}: no results of the suite yet, there are: {found}; run it, or "
                "give --results"
            )
        for text in (*since_last_run(store, suite), *estimates.status(store, suite).not_trained):
            print(text, file=sys.stderr)  # noqa: T201


def schema(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the suite reference in Markdown instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of a suite."""
    from harness.config.json_schema import suite_schema_text
    from harness.config.reference import suite_reference

    print(suite_reference() if markdown else suite_schema_text(), end="")  # noqa: T201
