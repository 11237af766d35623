"""The lint check of lengths finds what is too long."""

from __future__ import annotations

from pathlib import Path

from tests.support.sizes import FUNCTION_LINES, MODULE_LINES, too_long


def test_a_module_and_a_function_that_are_too_long_are_named(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    body = "    pass\n" * (FUNCTION_LINES - 1)
    path.write_text(f"def most():\n{body}", encoding="utf-8")
    assert list(too_long(path)) == []
    method = "".join(f"    {line}\n" for line in f"def longer(self):\n{body}    pass".splitlines())
    path.write_text(f"\nclass A:\n{method}", encoding="utf-8")
    assert list(too_long(path)) == [f"{path}:3: longer: 41 lines, expected at most 40"]
    path.write_text("x = 1\n" * (MODULE_LINES + 1), encoding="utf-8")
    assert list(too_long(path)) == [f"{path}: 251 lines, expected at most 250"]
