"""`harness init`: a first suite, and a model; their texts are in `templates/`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from harness.config import packaged_suite
from harness.config.suite import SuiteName
from harness.errors import UsageError, shown

_TEMPLATES = Path(__file__).with_name("templates")
_ENDINGS = (".yaml", ".yml")

Name = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The suite's name; as FOLDER/NAME it is written in that folder."),
]
WithModel = Annotated[
    bool, typer.Option("--model", help="Write NAME_model.py too, a model of your own that the suite trains.")
]


def init(name: Name = "my_suite", model: WithModel = False) -> None:
    """Write a commented first suite, NAME.yaml.

    An existing file is never overwritten: nothing is written then, and the exit code is 2.
    """
    folder, base = os.path.split(name)
    stem, ending = os.path.splitext(base) if base.endswith(_ENDINGS) else (base, ".yaml")
    _check_suite_name(stem)
    module = _module_name(Path(folder, f"{stem}_model"))
    if model and module is None:
        raise UsageError(
            f"NAME: found {shown(name)}, expected with --model a name that Python can import: letters, "
            "digits and '_', no digit first; the folder too, below this one"
        )
    suite = Path(folder, stem + ending)
    files = {suite: _suite_text(stem, module or f"{stem}_model", has_model=model)}
    if model:
        files[Path(folder, f"{stem}_model.py")] = _template("model.py")
    _create(files)
    for path in files:
        print(f"wrote {path}")  # noqa: T201
    file = shlex.quote(str(suite))
    print(f"next: harness plan {file}, then harness run {file}")  # noqa: T201


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _check_suite_name(stem: str) -> None:
    """Raise UsageError if no suite can have the name."""
    try:
        TypeAdapter(SuiteName).validate_python(stem)
    except (ValidationError, UnicodeError):
        raise UsageError(
            f"NAME: found {shown(stem)}, expected at most 64 letters, digits, '.', '_' and '-', the first a "
            "letter or digit: the results' folder has that name"
        ) from None
    if stem == packaged_suite.NAME:
        raise UsageError(f"NAME: found {stem!r}, which is the packaged suite's; choose another")


def _module_name(path: Path) -> str | None:
    """Return the import name of the module at a path without suffix; None if it cannot be imported."""
    return ".".join(path.parts) if all(part.isidentifier() for part in path.parts) else None


def _suite_text(stem: str, module: str, *, has_model: bool) -> str:
    text = _template("suite.yaml").replace('"my_suite"', f'"{stem}"')
    text = text.replace("my_suite_model:", f"{module}:").replace("my_suite_model.py", f"{stem}_model.py")
    return text.replace("# own:", "own:") if has_model else text


def _create(files: Mapping[Path, str]) -> None:
    """Create all files, or none; raise UsageError where one exists or cannot be written."""
    created: list[Path] = []
    for path, text in files.items():
        try:
            with path.open("x", encoding="utf-8", newline="\n") as file:
                created.append(path)
                file.write(text)
        except OSError as error:
            for each in created:
                each.unlink()
            why = {
                FileExistsError: "exists already, expected a new file; choose another NAME or remove it",
                FileNotFoundError: f"there is no folder {str(path.parent)!r}; make it or choose another NAME",
            }.get(type(error), f"cannot be written: {error.strerror}; choose another NAME")
            raise UsageError(f"{path}: {why}; nothing was written") from None
