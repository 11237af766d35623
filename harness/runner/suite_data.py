"""Data of suites: the digests of those on this machine, and changes since the suites last ran."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from harness import data
from harness.config.suite import Suite
from harness.errors import DataError
from harness.results.data_digests import change, stale_texts
from harness.results.store import Found, Store


def with_digest_at_hand(
    store: Store, suite: Suite, env: Mapping[str, str], say: Callable[[str], None]
) -> Suite:
    """Return the suite with the digest of its data if they are on this machine; report any error."""
    found = None
    try:
        found = data.at_hand(suite.dataset, None, env, say)
    except DataError as error:
        say(f"{suite.folder}: its data cannot be checked: {error}")
    return with_digest(store, suite, found.digest if found else "")


def with_digest(store: Store, suite: Suite, digest: str) -> Suite:
    """Return the suite with the digest of its data; if that is empty, of the data with which it last ran."""
    return suite.model_copy(update={"data_digest": digest or suite.data_digest or store.data_digest(suite)})


def with_prepared_digest(store: Store, suite: Suite, env: Mapping[str, str]) -> Suite:
    """Return the suite with the digest of its data if they are cached here; read no images."""
    return with_digest(store, suite, data.prepared_digest(suite.dataset, env=env))


def told(store: Store, suite: Suite, found: Iterable[Found]) -> list[str]:
    """Return sentences on a suite's changed data and on its records of other data."""
    stale = [(each.trial.experiment, each.other_data) for each in found if each.other_data]
    return [*change(suite, store.data_digest(suite)), *stale_texts(suite, stale)]
