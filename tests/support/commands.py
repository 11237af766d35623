"""The command line, called in this process."""

from __future__ import annotations

import sys

import pytest

from harness.cli.main import main


def call(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int | str | None, str, str]:
    """Run a command to its end; return its exit code and what it printed on both streams."""
    monkeypatch.setattr(sys, "argv", ["harness", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code, *capsys.readouterr()
