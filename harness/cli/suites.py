"""Suite arguments of commands: files that are read and checked, and folders of results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from harness.config import packaged_suite
from harness.config.loader import load_suite
from harness.config.overrides import Assignment
from harness.config.suite import Suite
from harness.config.suite_text import is_file, is_stream
from harness.errors import UsageError
from harness.results.store import Store

_ENDINGS = (".yaml", ".yml", ".json")


def load(path: Path, changes: list[str] | None) -> Suite:
    """Load a suite, with the settings given by --set on top; `quickstart` is the packaged one."""
    is_packaged = str(path) == packaged_suite.NAME and not (is_file(path) or is_stream(path))
    file = packaged_suite.PATH if is_packaged else path
    return load_suite(file, [Assignment.parse(text) for text in changes or []])


def loaded(paths: Sequence[Path], changes: list[str] | None, store: Store) -> list[Suite]:
    """Load suites, each with the digest of the data of its last run.

    Raise UsageError if the results under a suite's name belong to another suite file.
    """
    suites = [load(path, changes) for path in paths]
    for suite in suites:
        store.refuse_another(suite)
    digests = [store.data_digest(suite, from_records=True) for suite in suites]
    return [
        suite.model_copy(update={"data_digest": digest})
        for suite, digest in zip(suites, digests, strict=True)
    ]


def names_a_file(argument: str) -> bool:
    """Return whether an argument is certainly a suite's file, standard input or a pipe."""
    return argument.endswith(_ENDINGS) or is_stream(Path(argument))


def _is_file(store: Store, name: str) -> bool:
    return names_a_file(name) or (is_file(Path(name)) and store.folder_named(name) not in store.folders())


def resolved(store: Store, names: list[str] | None, changes: list[str] | None) -> list[Suite]:
    """Return the suites of these arguments: files as they are now, folders as suite.json has them."""
    _need_file_for(changes, names, store)
    if not names:
        _need_results(store)
        return [store.load_suite(folder) for folder in store.folders()]
    return [
        loaded([Path(name)], changes, store)[0] if _is_file(store, name) else _saved(store, name)
        for name in names
    ]


def followed(
    store: Store, names: list[str] | None, changes: list[str] | None
) -> tuple[Callable[[], list[str]], dict[str, Suite]]:
    """Return a function that lists the folders to follow, and the suites that were given as files.

    Suites given as files are followed even before they have results.
    """
    if not names:
        _need_file_for(changes, names, store)
        _need_results(store)
        return store.folders, {}
    suites = resolved(store, names, changes)
    folders = [suite.folder for suite in suites]
    return lambda: folders, of_files(store, names, suites)


def of_files(store: Store, names: list[str] | None, suites: Sequence[Suite]) -> dict[str, Suite]:
    """Return the suites that were given as files, by folder."""
    named = zip(names or [], suites, strict=False)
    return {suite.folder: suite for name, suite in named if _is_file(store, name)}


def _need_file_for(changes: list[str] | None, names: list[str] | None, store: Store) -> None:
    if changes and not names:
        raise UsageError("--set: expected the file of a suite beside it")
    for name in names if names and changes else ():
        if not _is_file(store, name):
            raise UsageError(f"--set: found {name!r}, expected the file of a suite beside it")


def _saved(store: Store, folder: str) -> Suite:
    _need_results(store)
    return store.load_suite(store.folder_named(folder))


def _need_results(store: Store) -> None:
    if not store.root.is_dir():
        raise UsageError(
            f"{store.root}: there is no such folder of results; run a suite first, or give --results"
        )
