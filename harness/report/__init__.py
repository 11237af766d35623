"""Reports from records: tables, figures and an HTML page, the same on every machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from harness.config.suite import Suite
from harness.errors import UsageError
from harness.report import csv_export, latex, markdown
from harness.report.aggregate import SuiteResults
from harness.report.artifacts import Artifact, FigureFile, TextFile, bytes_of
from harness.report.figures import figures
from harness.report.html import page as page_of
from harness.report.markdown_blocks import filled, text_of
from harness.report.table import Table, layout
from harness.results.edits import is_edited
from harness.results.store import Store

__all__ = ["Output", "Written", "outputs", "wants_page", "write"]

PAGE = "index.html"
# The beginning of every page of ours; an index.html that begins otherwise is the user's.
_OWN_PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'sha256-"""


@dataclass(frozen=True)
class Written:
    """A written table: its path, its Markdown without figures, and errors of unreadable records."""

    path: Path
    text: str
    unreadable: list[str]


def write(store: Store, folder: str) -> Written:
    """Write the tables and figures of one folder of results."""
    contents, table = _read(store, {}, folder)
    for each in _of_suite(store, contents, table):
        each.write()
    return Written(store.root / folder / "table.md", markdown.document(table), contents.unreadable)


def outputs(
    store: Store,
    folders: Sequence[str],
    into: Sequence[Path] = (),
    *,
    page: bool = False,
    to_write: bool = False,
    given: Mapping[str, Suite] | None = None,
) -> Iterator[Artifact | str]:
    """Yield the artifacts of a report on these folders, and error messages of unreadable records.

    These are each folder's tables and figures, the files `into` with their blocks filled, and a page of all
    results. `given` suites, by folder, are used in place of suite.json, which is an artifact too if it
    differs. Write each artifact before asking for the next: the page embeds figures from the disk. Raise
    UsageError before the first one if a file of `into` cannot be filled or, with `to_write`, replaced.
    """
    given = given or {}
    read: Callable[[str], tuple[SuiteResults, Table]] = partial(_read, store, given)
    if into or page:
        read = cache(read)  # else one suite's records at a time are enough in memory
    files = _filled(into, read, to_write=to_write)
    for folder in folders:
        if (suite := given.get(folder)) and is_edited(store, suite):
            yield TextFile(store.root / folder / "suite.json", store.suite_json(suite))
        contents, table = read(folder)
        yield from _of_suite(store, contents, table)
        yield from contents.unreadable
    yield from files
    if page:
        found, tables = zip(*map(read, store.folders()), strict=True)
        yield TextFile(store.root / PAGE, page_of(found, tables, lambda path: bytes_of(store.root / path)))


def wants_page(root: Path, *, asked: bool) -> bool:
    """Return whether to write the page of all results: if it was asked for, or if there is one.

    Raise UsageError if it was asked for and another page lies in its place.
    """
    path = root / PAGE
    content = bytes_of(path)
    is_own = content is not None and content.replace(b"\r\n", b"\n").startswith(_OWN_PAGE)
    if asked and not is_own and path.exists():
        raise UsageError(
            f"{path}: found a page that the harness did not write, expected none or its own; move it, or "
            "choose another --results"
        )
    return asked or is_own


def _filled(
    paths: Sequence[Path], read: Callable[[str], tuple[SuiteResults, Table]], *, to_write: bool
) -> list[TextFile]:
    """Return the files with their blocks filled; raise UsageError with what is wrong in any of them."""
    files, mistakes = list[TextFile](), list[str]()
    for path in paths:
        try:
            text = filled(text_of(path), str(path), lambda name: markdown.body(read(name)[1]))
            files.append(TextFile(path, text))
            if to_write:
                files[-1].need_writable()
        except UsageError as error:
            mistakes.append(str(error))
    if mistakes:
        raise UsageError("\n".join(mistakes))
    return files


def _read(store: Store, given: Mapping[str, Suite], folder: str) -> tuple[SuiteResults, Table]:
    contents = SuiteResults.of(store, folder, given.get(folder))
    return contents, layout(contents)


def _of_suite(store: Store, contents: SuiteResults, table: Table) -> Iterator[Artifact]:
    folder = store.root / contents.suite.folder
    shown = figures(contents)
    pictures = [markdown.picture(each.alt, f"{each.path}.svg") for each in shown]
    yield TextFile(folder / "table.md", markdown.document(table, pictures))
    yield TextFile(folder / "table.tex", latex.document(table))
    yield TextFile(folder / "table.csv", csv_export.table(contents))
    yield TextFile(folder / "epochs.csv", csv_export.epochs(contents))
    for figure in shown:
        yield FigureFile(folder, figure)
