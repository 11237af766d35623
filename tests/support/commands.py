"""The command line, called in this process."""

from __future__ import annotations

import functools
import sys

import pytest
import typer.main

from harness.cli.main import main

typer.main.get_command = functools.cache(typer.main.get_command)  # else built anew for each call


def call(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int | str | None, str, str]:
    """Run a command to its end; return its exit code and what it printed on both streams."""
    monkeypatch.setattr(sys, "argv", ["harness", *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code, *capsys.readouterr()
