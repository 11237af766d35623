"""Model registry: finds a model by name, reads the settings that it declares, builds it."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness.errors import ModelError, nearest
from harness.plugins import imported, is_callable_path

if TYPE_CHECKING:
    from torch import nn

# In a checkout this is a link to the folder `models/` beside the package.
_SHIPPED = Path(__file__).resolve().parent / "models"

Fragment = Mapping[str, Any]


def shipped() -> list[str]:
    """List the names of the models that come with the harness."""
    return sorted(path.stem for path in _SHIPPED.glob("[a-z]*.py"))


def declared_settings(name: str) -> dict[str, Fragment]:
    """Read a shipped model's `SETTINGS` (JSON Schema fragments by name) without importing it."""
    tree = ast.parse((_SHIPPED / f"{name}.py").read_text(encoding="utf-8"))
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "SETTINGS":
            return cast(dict[str, Fragment], ast.literal_eval(statement.value))
    raise AssertionError(f"models/{name}.py declares no SETTINGS")


def source_file(name: str) -> Path | None:
    """Return the file that defines the model, or None if it has no file; may import a user's module."""
    if not is_callable_path(name):
        return _SHIPPED / f"{name}.py"
    found = inspect.getsourcefile(sys.modules[_user_callable(name).__module__])
    return Path(found) if found else None


def build(settings: Mapping[str, Any], image_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """Build the model named in `settings`, with torch's current random state and default device.

    Raise ModelError if there is no such model, if it has no such settings, or if it rejects their values.
    """
    name = str(settings["name"])
    own = {key: value for key, value in settings.items() if key != "name"}
    builder = _user_callable(name) if is_callable_path(name) else _shipped_builder(name)
    try:
        inspect.signature(builder).bind(image_shape, num_classes, **own)
    except TypeError as error:
        raise ModelError(f"model {name!r}: {error}; {_accepted(builder, own)}") from None
    try:
        model = builder(image_shape, num_classes, **own)
    except (ValueError, TypeError) as error:
        raise ModelError(f"model {name!r} refuses its settings {own!r}: {error}") from error
    from torch import nn

    if not isinstance(model, nn.Module):
        raise ModelError(f"model {name!r}: found a {type(model).__name__}, expected a torch.nn.Module")
    return model


def _shipped_builder(name: str) -> Callable[..., nn.Module]:
    return cast("Callable[..., nn.Module]", importlib.import_module(f"harness.models.{name}").build)


def _user_callable(name: str) -> Callable[..., nn.Module]:
    return imported("model", name, ModelError)


def _accepted(builder: Callable[..., Any], found: Mapping[str, Any]) -> str:
    names = list(inspect.signature(builder).parameters)[2:]
    unknown = [key for key in found if key not in names]
    return nearest(unknown[0], names) if unknown else f"known: {', '.join(names)}"
