"""Import of a user's own callable, named `package.module:callable`."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from harness.errors import HarnessError, nearest
from harness.process_state import added_folders
from harness.user_code import calling


def is_callable_path(name: str) -> bool:
    """Tell whether `name` has the form `package.module:callable` of a user's own code."""
    module, colon, attribute = name.partition(":")
    return bool(colon) and all(part.isidentifier() for part in [*module.split("."), attribute])


def search_path() -> list[str]:
    """Return the import path for users' modules, without folders that their own code has added to it."""
    here = str(Path.cwd())
    known = [here if path == "" else path for path in sys.path if path not in added_folders]
    return known if here in known else [*known, here]


def imported(what: str, name: str, error: type[HarnessError]) -> Callable[..., Any]:
    """Import a callable, also from the current folder; raise `error`, about `what`, if there is none."""
    module_name, _, attribute = name.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # last, so that it hides nothing that is installed
    about = f"{what} {name!r}: the module {module_name!r} cannot be imported"
    with calling(about, error):
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as why:
            if why.name is None or not f"{module_name}.".startswith(f"{why.name}."):
                raise  # it is there, and imports another one that is not
            where = f"expected it installed or in the current folder {Path.cwd()}"
            raise error(f"{about}: {type(why).__name__}: {why}; {where}") from why
        found = getattr(module, attribute, None)  # a module may have a `__getattr__`
    if not callable(found):
        here = [
            key
            for key, value in vars(module).items()
            if (inspect.isfunction(value) or inspect.isclass(value))
            and value.__module__ == module_name
            and not key.startswith("_")
        ]
        raise error(
            f"{what} {name!r}: {_where(module)} has no callable {attribute!r}; {nearest(attribute, here)}"
        )
    return cast("Callable[..., Any]", found)


def _where(module: ModuleType) -> str:
    """Name a module, with its file if the current folder has another module of this name."""
    name, file = module.__name__, getattr(module, "__file__", None)
    own = Path.cwd().joinpath(*name.split("."))
    is_hidden = own.with_suffix(".py").exists() or own.is_dir()
    if file and is_hidden and Path.cwd() not in Path(file).parents:
        return f"{name} ({file}, found before {own}: rename yours)"
    return name
