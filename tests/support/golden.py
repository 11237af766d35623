"""Compare texts with those under tests/golden/; `GOLDEN=update` rewrites them."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest

from tests.support import ROOT

_FOLDER = ROOT / "tests" / "golden"


def assert_golden(name: str, text: str, folder: Path = _FOLDER) -> None:
    """Fail with the difference and the command that renews it where the text is not the golden one, whole."""
    path = folder / name
    if os.environ.get("GOLDEN") == "update":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    golden = path.read_text(encoding="utf-8") if path.exists() else None
    if text == golden:
        return
    lines = difflib.unified_diff(
        (golden or "").split("\n"),
        text.split("\n"),
        os.path.relpath(path),
        "what the code writes now",
        lineterm="",
    )
    test = os.environ["PYTEST_CURRENT_TEST"].partition(" ")[0].partition("[")[0]
    pytest.fail(
        "\n".join([*lines, f"if that is meant: GOLDEN=update python -m pytest {test}"]), pytrace=False
    )
