"""Error messages for a suite: file, line, key, found, expected, nearest known key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from harness.config.overrides import Assignment
from harness.config.yaml_reader import Document, KeyPath, dotted
from harness.errors import nearest, shown
from harness.registry import names_of

M = TypeVar("M", bound=BaseModel)

_PHRASES = {
    "Input should be ": "",
    "a valid integer": "a whole number",
    "a valid dictionary": "a mapping",
    "a valid ": "a ",
    "String should match pattern": "text that matches",
    "List should have": "a list with",
    "Dictionary should have": "a mapping with",
}


@dataclass
class Checker:
    """Collects the mistakes of one suite, each once, with its file and line or `--set`."""

    document: Document
    assignments: Sequence[Assignment]
    mistakes: list[str] = field(default_factory=list)

    def check(self, cls: type[M], data: Any, layers: Sequence[KeyPath], at: KeyPath = ()) -> M | None:
        """Validate `data` as a `cls`. It lies at `at` in each of `layers`; a later layer wins."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            for path, text in explain(error, cls, data):
                self.add((*at, *path), text, layers)
        return None

    def add(self, path: KeyPath, text: str, layers: Sequence[KeyPath]) -> None:
        """Add a mistake at a key path."""
        line = f"{self._where(path, layers)}: {text}"
        if line not in self.mistakes:
            self.mistakes.append(line)

    def place(self, path: KeyPath, layers: Sequence[KeyPath]) -> str:
        """Return where a key path, or the nearest above it, is written: file and line, or `--set`."""
        return self._found(path, layers)[0]

    def _where(self, path: KeyPath, layers: Sequence[KeyPath]) -> str:
        return ": ".join(self._found(path, layers))

    def _found(self, path: KeyPath, layers: Sequence[KeyPath]) -> tuple[str, str]:
        """Return the place of a key path, and the path as the file spells it."""
        for length in range(len(path), -1, -1):
            prefix = path[:length]
            for assignment in reversed(self.assignments):
                if prefix and assignment.path == prefix:
                    return f"--set {assignment.text}", dotted(path)
            for layer in reversed(layers):
                if (*layer, *prefix) in self.document.places and (prefix or layer == layers[-1]):
                    return self.document.places[(*layer, *prefix)], dotted((*layer, *path))
        return self.document.places[()], dotted(path)


def explain(error: ValidationError, cls: type[BaseModel], data: Any) -> Iterator[tuple[KeyPath, str]]:
    """Yield the key path in `data` and the text of each mistake in `error`, from validating it as a `cls`."""
    for details in error.errors():
        path = _in_data(details["loc"], data, is_missing=details["type"] == "missing")
        yield path, _text(details, path, cls)


def _in_data(location: Iterable[str | int], data: Any, *, is_missing: bool) -> KeyPath:
    """Drop from pydantic's location the parts that are names of union members, not keys of `data`."""
    parts = list(location)
    path: list[str | int] = []
    for index, part in enumerate(parts):
        is_key = isinstance(data, Mapping) and (part in data or (is_missing and index == len(parts) - 1))
        is_index = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if is_key or is_index:
            path.append(part)
            data = data.get(part) if isinstance(data, Mapping) else data[part]
    return tuple(path)


def _text(details: ErrorDetails, path: KeyPath, cls: type[BaseModel]) -> str:
    kind, message, found = details["type"], details["msg"], details["input"]
    if kind == "extra_forbidden":
        return f"unknown key {path[-1]!r}; {nearest(path[-1], _known_keys(cls, details['loc'][:-1]))}"
    if kind == "missing":
        return "missing; it has no default"
    if kind == "model_type" or (kind == "union_tag_not_found" and not isinstance(found, Mapping)):
        return f"found {'nothing' if found is None else shown(found)}, expected keys of its own"
    if kind == "union_tag_not_found":
        return "the key 'name' is missing; it selects the kind"
    if kind == "union_tag_invalid":
        context = details["ctx"]
        tags = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
        return f"found the name {context['tag']!r}; {nearest(context['tag'], tags)}"
    if kind == "value_error":
        return f"found {message.removeprefix('Value error, ')}"
    if kind == "literal_error" and isinstance(found, str):
        tags = [tag.strip(" '") for tag in details["ctx"]["expected"].replace(" or ", ",").split(",")]
        return f"found {shown(found)}; {nearest(found, tags)}"
    return f"found {shown(found)}, expected {_expected(message)}"


def _expected(message: str) -> str:
    for theirs, ours in _PHRASES.items():
        message = message.replace(theirs, ours)
    return re.sub(r" after validation, not \d+$", "", message)


def _known_keys(cls: type[BaseModel], location: Iterable[str | int]) -> list[str]:
    classes = [cls]
    for part in location:
        inner = [
            found
            for each in classes
            if part in each.model_fields
            for found in _models_in(each.model_fields[str(part)].annotation)
        ]
        tagged = [each for each in classes if part in names_of(each)]
        classes = inner or tagged or classes  # neither: a list index or a mapping's own key
    return [key for each in classes for key in each.model_fields]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _models_in(argument)]
