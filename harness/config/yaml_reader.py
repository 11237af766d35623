"""YAML reader: plain values, and the line of each; numbers such as `1e-3` as in YAML 1.2.

Refuses what PyYAML reads differently than meant: duplicate keys, `no`, `010`, `1:30`, dates.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from harness.config.suite_text import decoded
from harness.errors import SuiteError, shown

KeyPath = tuple[str | int, ...]

# YAML 1.2's numbers, its core schema, as far as PyYAML takes them for text: 1e-3, 1.0e5, -.5, 0o17.
_FLOAT = re.compile(r"[-+]?((\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)$")
_OCTAL_OF_1_2 = re.compile(r"0o[0-7]+$")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_TAG = "tag:yaml.org,2002:"
_MOST_REPEATED = 100_000
_DEEPEST = 100
TOO_DEEP = f"found values nested more than {_DEEPEST} deep, expected a few levels"


class Loader(yaml.SafeLoader):
    """Load plain values, with the numbers of YAML 1.2; only unquoted text becomes a number."""


Loader.add_implicit_resolver(f"{_TAG}float", _FLOAT, list("-+.0123456789"))
Loader.add_implicit_resolver(f"{_TAG}int", _OCTAL_OF_1_2, ["0"])


@dataclass(frozen=True)
class Document:
    """The value of a YAML text, and the place (`file:line`) of every key path in it."""

    data: dict[str, Any]
    places: Mapping[KeyPath, str]


@dataclass
class _Reader:
    name: str
    places: dict[KeyPath, str] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)
    open_nodes: set[int] = field(default_factory=set)
    known_nodes: set[int] = field(default_factory=set)
    repeated: int = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self.places[path] = self._place(node)
        if len(path) > _DEEPEST:
            raise SuiteError([f"{self._place(node)}: {TOO_DEEP}"])
        if id(node) in self.open_nodes:
            return self._mistake(node, path, "an alias that contains itself; write the value out")
        self._count(node)
        if isinstance(node, yaml.CollectionNode) and node.tag not in (f"{_TAG}map", f"{_TAG}seq"):
            return self._mistake(node, path, f"found the tag {node.tag!r}, expected a plain mapping or list")
        self.open_nodes.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return {key: self.value(child, (*path, key)) for key, child in self._items(node, path)}
            if isinstance(node, yaml.SequenceNode):
                return [self.value(child, (*path, index)) for index, child in enumerate(node.value)]
            assert isinstance(node, yaml.ScalarNode)
            return self._scalar(node, path)
        finally:
            self.open_nodes.discard(id(node))

    def _count(self, node: yaml.Node) -> None:
        """Raise SuiteError if nested aliases expand a small file to more values than can be read."""
        self.repeated += id(node) in self.known_nodes
        self.known_nodes.add(id(node))
        if self.repeated > _MOST_REPEATED:
            raise SuiteError([f"{self._place(node)}: found {_MOST_REPEATED:,} values by alias; write them"])

    def _items(self, node: yaml.MappingNode, path: KeyPath) -> Iterator[tuple[str, yaml.Node]]:
        first_lines: dict[str, int] = {}
        for key_node, child in node.value:
            if key_node.tag == _TAG + "merge":
                self._mistake(key_node, path, "found a merge key '<<'; use `common` or `extends` instead")
                continue
            key = self._scalar(key_node, path) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                self._mistake(key_node, path, f"found the key {key!r}, expected text; put it in quotes")
            elif key in first_lines:
                first = first_lines[key]
                self._mistake(
                    key_node, (*path, key), f"found twice, first on line {first}; keep one of the two"
                )
            else:
                first_lines[key] = key_node.start_mark.line + 1
                yield key, child

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        text = node.value
        trap = _trap(node) if node.style is None else None
        if trap is not None:
            return self._mistake(node, path, trap)
        try:
            value = Loader("").construct_object(node)
        except (yaml.YAMLError, ValueError):
            if node.tag == _TAG + "int":  # Python converts no more than 4,300 digits
                return self._mistake(node, path, f"found {shown(text)}, expected a number of fewer digits")
            value = node
        if not isinstance(value, str | int | float | None):
            return self._mistake(
                node, path, f"found {shown(text)} with the tag {node.tag!r}, expected a plain value"
            )
        if isinstance(value, str) and not _is_text(value):
            return self._mistake(
                node, path, f"found {shown(value)}, expected text without halves of characters"
            )
        if isinstance(value, float) and not math.isfinite(value):
            return self._mistake(node, path, f"found {text}, expected a finite number")
        return value

    def _place(self, node: yaml.Node) -> str:
        return f"{self.name}:{node.start_mark.line + 1}" if node.start_mark else self.name

    def _mistake(self, node: yaml.Node, path: KeyPath, text: str) -> None:
        self.mistakes.append(f"{self._place(node)}: {dotted(path)}: {text}")


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _trap(node: yaml.ScalarNode) -> str | None:
    text, tag = node.value, node.tag.removeprefix(_TAG)
    if tag == "bool" and text.lower() not in ("true", "false"):
        meant = str(yaml.SafeLoader.bool_values[text.lower()]).lower()
        return f"found {text}, which YAML 1.1 reads as {meant}; write {meant} or '{text}'"
    if tag in ("int", "str") and _LEADING_ZERO.fullmatch(text):
        how = "in base 8" if tag == "int" else "as text"
        sign, digits = ("-" if text[0] == "-" else ""), text.lstrip("-+0") or "0"
        return f"found {text}, which YAML 1.1 reads {how}; write {sign}{digits} or '{text}'"
    if tag in ("int", "float") and _SEXAGESIMAL.fullmatch(text):
        return f"found {text}, which YAML 1.1 reads in base 60; write '{text}'"
    if tag == "timestamp":
        return f"found {text}, which YAML reads as a date; write '{text}'"
    return None


def dotted(path: KeyPath) -> str:
    """Format a key path for people: `training.optimizer.lr`, `seeds[2]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or "(top)"


def parse(text: str, name: str) -> tuple[Any, Mapping[KeyPath, str]]:
    """Parse a YAML text, called `name` in messages; raise SuiteError with all its mistakes."""
    try:
        node = yaml.compose(text, Loader=Loader)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise SuiteError([f"{name}{line}: not YAML: {error.problem or error.context}"]) from None
    except RecursionError:
        raise SuiteError([f"{name}: {TOO_DEEP}"]) from None
    except yaml.YAMLError as error:
        raise SuiteError([f"{name}: not YAML: {' '.join(str(error).split())}"]) from None
    if node is None:
        return None, {(): f"{name}:1"}
    reader = _Reader(name)
    try:
        value = reader.value(node, ())
    except RecursionError:
        raise SuiteError([f"{name}: {TOO_DEEP}"]) from None
    if reader.mistakes:
        raise SuiteError(reader.mistakes)
    return value, reader.places


def document_of(content: bytes, name: str) -> Document:
    """Return the mapping in a YAML file's bytes; raise SuiteError with all its mistakes."""
    value, places = parse(decoded(content, name), name)
    if not isinstance(value, dict):
        found = "nothing" if value is None else f"a {type(value).__name__}"
        raise SuiteError([f"{name}:1: (top): found {found}, expected keys like `suite:` and `experiments:`"])
    return Document(value, places)


def is_deep(value: Any) -> bool:
    """Tell whether lists and mappings are nested deeper than any suite needs."""
    level = [value]
    for _ in range(_DEEPEST + 1):
        inner = [each.values() if isinstance(each, dict) else each for each in level]
        level = [child for each in inner for child in each if isinstance(child, dict | list)]
        if not level:
            return False
    return True
