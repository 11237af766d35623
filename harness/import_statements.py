"""Imports in a module's source: the imported names, and whether some are computed at run time."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

_BY_NAME = ("import_module", "__import__")
_BY_ANYTHING = (
    "exec",
    "load_source",
    "locate",
    "module_from_spec",
    "run_module",
    "run_path",
    "spec_from_file_location",
    "SourceFileLoader",
)


@dataclass(frozen=True)
class Imports:
    """Full names of imported modules, or of names within them; `is_open` if there may be others."""

    names: list[str]
    is_open: bool = False


def read(content: bytes, package: str) -> Imports:
    """Read the imports of a module of a package (empty for none), wherever they stand in it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as of an invalid escape: importing the module tells it
            tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Imports([])  # importing the module tells it
    names: dict[str, None] = {}
    is_open = False
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= dict.fromkeys(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names |= dict.fromkeys(_of_from(node, package))
        elif isinstance(node, ast.Call):
            called = _last_name(node.func)
            if called in _BY_ANYTHING:
                is_open = True
            elif called in _BY_NAME:
                found = _literal(node, package)
                is_open |= found is None
                names |= dict.fromkeys([found] if found else [])
    return Imports(list(names), is_open)


def _of_from(node: ast.ImportFrom, package: str) -> Iterator[str]:
    base = absolute("." * node.level + (node.module or ""), package)
    if base:
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")


def absolute(name: str, package: str) -> str:
    """Return the full name of a module named relative to a package; empty if there is none."""
    own = name.lstrip(".")
    if own == name:
        return name
    parts = package.split(".") if package else []
    up = len(name) - len(own) - 1
    if up >= len(parts):
        return ""
    around = parts[: len(parts) - up]
    return ".".join([*around, own] if own else around)


def _last_name(function: ast.expr) -> str:
    return (
        function.attr
        if isinstance(function, ast.Attribute)
        else function.id
        if isinstance(function, ast.Name)
        else ""
    )


def _literal(call: ast.Call, package: str) -> str | None:
    """Return the full name that a call imports, None if it is computed."""
    given = call.args[0] if call.args else next((each.value for each in call.keywords), None)
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        return absolute(given.value, package)
    return None
