"""Overrides of settings: deep merge, single values, matrix expansion, and `--set`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.config import yaml_reader
from harness.data import DatasetSettings
from harness.errors import SuiteError, UsageError, nearest

# Under another name such a section is replaced, not merged: optimizers differ in their settings. The name is
# that of a section without one.
_NAMED_SECTIONS = {"model": None, "optimizer": None, "scheduler": None, "loss": "cross_entropy"}
_OF_ALL_DATASETS = DatasetSettings.model_fields  # what a dataset of another name keeps


@dataclass(frozen=True)
class Assignment:
    """One `--set key=value`, parsed."""

    path: tuple[str, ...]
    value: Any
    text: str

    @classmethod
    def parse(cls, text: str) -> Assignment:
        """Parse text such as `training.epochs=2`; raise UsageError if it has another form."""
        key, equals, value = text.partition("=")
        path = tuple(key.split("."))
        if not equals or len(path) < 2 or not all(path):
            raise UsageError(f"--set {text}: expected KEY=VALUE such as training.epochs=2")
        if path[0] not in ("dataset", "model", "training"):
            raise UsageError(
                f"--set {text}: unknown {path[0]!r}; {nearest(path[0], ('dataset', 'model', 'training'))}"
            )
        try:
            return cls(path, yaml_reader.parse(value, "value")[0], text)
        except SuiteError as error:
            reasons = (mistake.removeprefix("value:1: (top): ") for mistake in error.mistakes)
            raise UsageError(f"--set {text}: {'; '.join(reasons)}") from None


def merged(base: Any, top: Any, key: str | None = None) -> Any:
    """Return `base` overridden by `top`: mappings are merged, everything else is replaced."""
    if not (isinstance(base, dict) and isinstance(top, dict)):
        return top
    if "name" in top and top["name"] != base.get("name", _NAMED_SECTIONS.get(key or "")):
        if key in _NAMED_SECTIONS:
            return top
        if key == "dataset":
            base = {name: value for name, value in base.items() if name in _OF_ALL_DATASETS}
    both = dict(base)
    for name, value in top.items():
        both[name] = merged(base[name], value, name) if name in base else value
    return both


def with_leaf(data: Any, path: Sequence[str], value: Any) -> Any:
    """Return a copy of `data` with one value set at a key path."""
    if not path:
        return value
    mapping = data if isinstance(data, dict) else {}
    return {**mapping, path[0]: with_leaf(mapping.get(path[0]), path[1:], value)}


def expand(origin: str, matrix: Mapping[str, list[Any]]) -> Iterator[tuple[str, dict[tuple[str, ...], Any]]]:
    """Yield a name and the values to set, by key path, for every combination of a matrix's values."""
    labels = [key.rsplit(".", 1)[1] for key in matrix]
    if len(set(labels)) < len(labels):
        labels = list(matrix)
    for values in itertools.product(*matrix.values()):
        parts = [f"{label}={_slug(value)}" for label, value in zip(labels, values, strict=True)]
        name = "-".join([origin, ",".join(parts)]) if parts else origin
        yield name, {tuple(key.split(".")): value for key, value in zip(matrix, values, strict=True)}


def _slug(value: Any) -> str:
    if isinstance(value, int | float):
        return str(value)  # with its minus sign
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", str(value)).strip("-")
