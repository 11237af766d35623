"""Resolved suites as JSON: suite.json beside the records, and the frozen suites of jobs and ranks."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from pydantic import TypeAdapter

from harness.config import packaged_suite
from harness.config.suite import Suite, SuiteSource
from harness.config.yaml_reader import TOO_DEEP, is_deep
from harness.errors import SuiteError

_Suites = TypeAdapter(list[Suite])


def to_json(suite: Suite, folder: Path | None = None) -> str:
    """Return a suite as JSON; the path of its source is relative to `folder`, or else absolute.

    The packaged suite's source is a name: its place on this machine is no part of a result.
    """
    source = suite.source
    if source and source.path and packaged_suite.is_packaged(source.path):
        suite = _with_source_path(suite, source, packaged_suite.IN_JSON)
    elif source and source.path and folder:
        suite = _with_source_path(suite, source, Path(os.path.relpath(source.path, folder)).as_posix())
    return json.dumps(suite.model_dump(), indent=1, allow_nan=False) + "\n"


def from_json(text: str, folder: Path) -> Suite:
    """Return the suite in its JSON; raise ValueError (pydantic's ValidationError) if there is none."""
    return _with_absolute_source(Suite.model_validate_json(text), folder)


def of_mapping(data: dict[str, Any], folder: Path) -> Suite:
    """Return the suite in parsed JSON; raise ValidationError if it is not one."""
    return _with_absolute_source(Suite.model_validate(data), folder)


def _with_absolute_source(suite: Suite, folder: Path) -> Suite:
    source = suite.source
    if source is None or source.path is None:
        return suite
    path = packaged_suite.PATH if source.path == packaged_suite.IN_JSON else folder / source.path
    return _with_source_path(suite, source, os.path.abspath(path))


def _with_source_path(suite: Suite, source: SuiteSource, path: str) -> Suite:
    return suite.model_copy(update={"source": SuiteSource(path=path, digest=source.digest)})


def frozen(suites: Sequence[Suite]) -> str:
    """Serialise suites for the ranks that train them."""
    return _Suites.dump_json(list(suites)).decode()


def thawed(text: str) -> list[Suite]:
    """Parse suites that `frozen` has serialised."""
    return _Suites.validate_json(text)


def mapping_in(text: str, name: str) -> dict[str, Any] | None:
    """Return a resolved suite's parsed JSON, None for other text; raise SuiteError for NaN or infinity."""
    if not text.lstrip().startswith("{"):
        return None

    def refuse(constant: str) -> NoReturn:
        raise SuiteError([f"{name}: found {constant}, expected finite numbers"])

    try:
        data = json.loads(text, parse_constant=refuse, parse_float=lambda each: _finite(each, refuse))
    except (ValueError, RecursionError):  # YAML can say where
        return None
    if not isinstance(data, dict) or "changed" not in data:
        return None
    if is_deep(data):
        raise SuiteError([f"{name}: {TOO_DEEP}"])
    return data


def _finite(text: str, refuse: Any) -> float:
    number = float(text)
    return refuse(text) if number in (float("inf"), float("-inf")) else number
