"""Suite reference in Markdown: a table of keys for each section of the suite's JSON Schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.config.json_schema import suite_schema
from harness.markdown import table

_Node = dict[str, Any]

_SIGNS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}

_INTRODUCTION = """\
# Suite reference

All keys of a suite, as `harness schema --markdown` prints them. A heading is the path of its section, as in
`--set training.epochs=2`; NAME stands for the name of an experiment. The suite that is extended, `common` and
the experiment are merged: a required key must be in one of them. A model, optimizer, scheduler or loss of
another name replaces the one that it would be merged with, and so does a list.
"""


def suite_reference() -> str:
    """Return the reference as text."""
    return _Reference(suite_schema()).text()


@dataclass(frozen=True)
class _Section:
    heading: str
    description: str
    mappings: list[_Node]  # of which one is chosen, by its name


class _Reference:
    def __init__(self, schema: _Node) -> None:
        self._definitions: _Node = schema["$defs"]
        self._sections = [_Section("Top level", schema["description"], [schema])]
        self._headings: dict[str, str] = {}  # of each mapping, by its title
        self._add_sections(schema, "")

    def text(self) -> str:
        parts = [_INTRODUCTION]
        for section in self._sections:
            parts.append(f"## {section.heading}\n\n{section.description}\n")
            for mapping in section.mappings:
                if len(section.mappings) > 1:
                    parts.append(f"### {_title(mapping)}\n\n{mapping['description']}\n")
                parts.append(self._table(mapping))
        return "\n".join(parts)

    def _add_sections(self, parent: _Node, path: str) -> None:
        """Add a section for each kind of mapping below this one, at the first path that leads to it."""
        for key, node in parent["properties"].items():
            found = list(self._mappings(node))
            if not found or found[0]["title"] in self._headings:
                continue
            heading = f"{path}{key}.NAME" if _values(node) else f"{path}{key}"
            is_choice = len(found) > 1
            self._sections.append(_Section(heading, (node if is_choice else found[0])["description"], found))
            self._headings |= {each["title"]: _title(each) if is_choice else heading for each in found}
            for each in found:
                # Paths below `common` begin without it, as in `--set`.
                self._add_sections(each, "" if key == "common" else f"{heading}.")

    def _mappings(self, node: _Node) -> Iterator[_Node]:
        """Yield the mappings of known keys that a node, or a value under any name in it, may be."""
        node = self._resolved(node)
        if "properties" in node:
            yield node
        else:
            for each in (*_alternatives(node), *_values(node), *_alternatives(node.get("items", {}))):
                yield from self._mappings(each)

    def _resolved(self, node: _Node) -> _Node:
        return self._definitions[node["$ref"].rpartition("/")[2]] if "$ref" in node else node

    def _table(self, mapping: _Node) -> str:
        rows = []
        for key, node in sorted(mapping["properties"].items(), key=lambda item: item[0] != "name"):
            default = f"`{json.dumps(node['default'])}`" if "default" in node else "required"
            rows.append([f"`{key}`", self._type(node), default, node["description"]])
        return table(["key", "type", "default", "meaning"], rows) + "\n"

    def _type(self, node: _Node) -> str:
        node = self._resolved(node)
        if "properties" in node:
            heading = self._headings[node["title"]]
            return f"[{heading}](#{_anchor(heading)})"
        if choices := [self._type(each) for each in _alternatives(node)]:
            return _either(choices)
        if values := _values(node):
            return f"mapping from key to {self._type(values[0])}"
        if "enum" in node:
            return _either([f"`{each}`" for each in node["enum"]])
        if "const" in node:
            return f"`{node['const']}`"
        if choices := [self._type(each) for each in _alternatives(node.get("items", {}))]:
            return f"list of {_either(choices)}"
        return _list(node) if node["type"] == "array" else f"{node['type']}{_bounds(node)}"


def _title(mapping: _Node) -> str:
    """Return the name by which a mapping is chosen, or its title."""
    return str(mapping["properties"].get("name", {}).get("const", mapping["title"]))


def _alternatives(node: _Node) -> Iterator[_Node]:
    for each in node.get("anyOf") or node.get("oneOf") or ():
        if each.get("type") != "null":
            yield from _alternatives(each) if "anyOf" in each else (each,)


def _values(node: _Node) -> list[_Node]:
    """List the schemas of a mapping's values under any name."""
    others = node.get("additionalProperties")
    return [*node.get("patternProperties", {}).values(), *([others] if isinstance(others, dict) else [])]


def _either(texts: list[str]) -> str:
    return " or ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def _list(node: _Node) -> str:
    least, most, items = node.get("minItems", 0), node.get("maxItems"), node.get("items", {})
    number = f"{least} " if least == most else f"{least} or more " if least else ""
    (of,) = list(_alternatives(items)) or [items]
    if "enum" in of:
        return f"list of {_either([f'`{each}`' for each in of['enum']])}"
    return f"list of {number}" + (f"{of['type']}s{_bounds(of)}" if of else "values")


def _bounds(node: _Node) -> str:
    return " and".join(f" {sign} {_short(node[key])}" for key, sign in _SIGNS.items() if key in node)


def _short(bound: float) -> str:
    return re.sub("0{6,}$", lambda zeros: f"e{len(zeros[0])}", str(bound))


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
