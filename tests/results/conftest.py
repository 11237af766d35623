"""A trial, a store for it, and runs that take it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from harness.config.suite import Suite, Trial
from harness.results.lease import Leases
from harness.results.lease_owner import this_process
from harness.results.store import Store
from tests.support.clock import Clock
from tests.support.records import suite_of


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return suite_of(tmp_path)


@pytest.fixture
def trial(suite: Suite) -> Trial:
    return next(suite.trials())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def runs(store: Store, clock: Clock) -> Iterator[Any]:
    """Make the claims of a run, by its name; its heart beats only when the test says so."""
    with ExitStack() as ended:

        def make(run: str, start: tuple[int, int] = (0, 0), **changes: Any) -> Leases:
            me = this_process(run, list(start), {}).model_copy(update=changes)
            leases = Leases(store, me, now=clock)
            ended.callback(leases.stop)
            return leases

        yield make
