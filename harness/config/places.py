"""Lines of a suite's files that hold experiments' settings, for mistakes that appear only with the data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.config import suite_file, suite_text
from harness.config.overrides import expand
from harness.config.suite import Suite
from harness.config.validation import Checker
from harness.config.yaml_reader import Document, KeyPath, dotted
from harness.errors import SuiteError


def places_of(suite: Suite, path: KeyPath) -> dict[str, str]:
    """Return where each experiment's setting is written, as `file:line`, by the experiment's name.

    Empty if the files are gone, or have changed since the suite was read.
    """
    if (document := _document_of(suite)) is None:
        return {}
    sets = [f"--set {key}={value}" for key, value in suite.changed.items() if _is_at(key, path)]
    return {
        name: " with ".join([place, *sets])
        for name, place in _places(document.data["experiments"], Checker(document, ()), path)
    }


def place_of(suite: Suite, path: KeyPath) -> str:
    """Return where a setting of the suite itself is written, as `file:line`, or else the suite's name."""
    document = _document_of(suite)
    return Checker(document, ()).place(path, [()]) if document else f"suite {suite.folder}"


def _document_of(suite: Suite) -> Document | None:
    """Return what the suite's files say; None if they are gone, or have changed since the suite was read."""
    source = suite.source
    if source is None or source.path is None:
        return None
    try:
        document, known = suite_file.read(Path(suite_text.shown(source.path)))
    except SuiteError:
        return None
    return document if known["source"].digest == source.digest else None


def _is_at(key: str, path: KeyPath) -> bool:
    return f"{key}.".startswith(f"{dotted(path)}.")


def _places(experiments: dict[str, Any], checker: Checker, path: KeyPath) -> Iterator[tuple[str, str]]:
    for origin, own in experiments.items():
        layers: list[KeyPath] = [("common",), ("experiments", origin)]
        matrix = (own or {}).get("matrix", {})
        for name, leaves in expand(origin, matrix):
            in_matrix: list[KeyPath] = [
                ("matrix", key, matrix[key].index(value))
                for key, value in ((".".join(each), value) for each, value in leaves.items())
                if _is_at(key, path)
            ]
            if in_matrix:
                yield name, checker.place(in_matrix[0], layers[1:])
            else:
                yield name, checker.place(path, layers)
