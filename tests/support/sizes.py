"""Whether modules and functions are short enough to be read: `python -m tests.support.sizes`."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support import ROOT

MODULE_LINES, FUNCTION_LINES = 250, 40
FOLDERS = ("harness", "models", "benchmarks", "tests", "docs")


def too_long(path: Path) -> Iterator[str]:
    """Yield a line for a module over 250 lines, and one for each function over 40."""
    text = path.read_text(encoding="utf-8")
    if (lines := len(text.splitlines())) > MODULE_LINES:
        yield f"{path}: {lines} lines, expected at most {MODULE_LINES}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{path}:{node.lineno}: {node.name}: {lines} lines, expected at most {FUNCTION_LINES}"


def main() -> int:
    """Print what is too long; return 1 where anything is."""
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    assert {path.relative_to(ROOT).parts[0] for path in paths} == set(FOLDERS)
    found = [line for path in paths for line in too_long(path)]
    print("\n".join(found), end="\n" * bool(found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
