"""A golden text that differs shows how, and the command that renews it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.golden import assert_golden


def test_the_difference_and_the_command_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDEN", "")
    (tmp_path / "a.txt").write_text("one\ntwo\n", encoding="utf-8")
    assert_golden("a.txt", "one\ntwo\n", tmp_path)
    command = (
        "GOLDEN=update python -m pytest tests/test_golden.py::test_the_difference_and_the_command_are_shown"
    )
    for text, line in (("one\nthree\n", "+three"), ("one\ntwo", "-")):
        with pytest.raises(pytest.fail.Exception) as failure:
            assert_golden("a.txt", text, tmp_path)
        shown = str(failure.value).splitlines()
        assert line in shown
        assert shown[-1].endswith(command)
    monkeypatch.setenv("GOLDEN", "update")
    assert_golden("a.txt", "new\n", tmp_path)
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "new\n"
