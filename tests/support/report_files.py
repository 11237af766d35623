"""The files that a report writes beside records."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePath

from typer.testing import CliRunner

from harness.cli.main import app
from tests.support.records import hashed_again

_NAMES = re.compile(r"table\.(md|tex|csv)|epochs\.csv|(comparison|curves)\.(svg|png)")


def is_of_report(path: PurePath | str) -> bool:
    """Tell whether a report wrote the file."""
    return bool(_NAMES.fullmatch(PurePath(path).name))


def report(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["report", *arguments], catch_exceptions=False)
    return done.exit_code, done.output


def changed(path: Path, old: str, new: str) -> Callable[[], None]:
    """Change the file, a record so that its hash fits again; return what changes it back."""
    before = path.read_bytes()
    after = before.replace(old.encode(), new.encode(), 1)
    assert after != before, f"{old} is not in {path}"
    path.write_bytes(hashed_again(after.decode()).encode() if path.match("seed-*.json") else after)

    def undo() -> None:
        path.write_bytes(before)

    return undo
