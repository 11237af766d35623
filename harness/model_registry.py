"""Model registry: finds a model by name, reads the settings that it declares, builds it."""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from harness.errors import ModelError
from harness.model_contract import new_module, problem_of_call
from harness.model_libraries import library_of
from harness.plugins import imported, is_callable_path
from harness.user_code import calling

if TYPE_CHECKING:
    from torch import nn

# In a checkout this is a link to the folder `models/` beside the package.
_SHIPPED = Path(__file__).resolve().parent / "models"

Fragment = Mapping[str, Any]


def shipped() -> list[str]:
    """List the names of the models that come with the harness."""
    return sorted(path.stem for path in _SHIPPED.glob("[a-z]*.py"))


def declared_settings(name: str) -> dict[str, Fragment]:
    """Read a shipped model's `SETTINGS`, if it has any (JSON Schema by name), without importing it."""
    for statement in _syntax_tree(name).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "SETTINGS":
            return cast(dict[str, Fragment], ast.literal_eval(statement.value))
    return {}


def summary(name: str) -> str:
    """Return the first line of a shipped model's docstring without importing it."""
    return (ast.get_docstring(_syntax_tree(name)) or "").partition("\n")[0]


def _syntax_tree(name: str) -> ast.Module:
    return ast.parse((_SHIPPED / f"{name}.py").read_text(encoding="utf-8"))


def source_file(name: str) -> Path | None:
    """Return the file that defines the model, or None if it has no file; may import a user's module."""
    if not is_callable_path(name):
        return _SHIPPED / f"{name}.py"
    found = inspect.getsourcefile(sys.modules[_callable(name).__module__])
    return Path(found) if found else None


def build(settings: Mapping[str, Any], image_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """Build the model named in `settings`, with torch's current random state and default device.

    Raise ModelError if there is no such model, if it has no such settings, or if building it fails.
    """
    name = str(settings["name"])
    # A copy: what a builder takes out of its settings is still there for the next trial.
    own = copy.deepcopy({key: value for key, value in settings.items() if key != "name"})
    if not is_callable_path(name):
        return _built_shipped(name, image_shape, num_classes, own)
    builder = _callable(name)
    if problem := problem_of_call(builder, name.partition(":")[2], own):
        raise ModelError(f"model {name!r}: {problem}")
    with calling(f"model {name!r}"):
        model = builder(image_shape, num_classes, **own)
    return new_module(name, model)


def _built_shipped(
    name: str, image_shape: tuple[int, ...], num_classes: int, own: dict[str, Any]
) -> nn.Module:
    builder = importlib.import_module(f"harness.models.{name}").build
    if problem := problem_of_call(builder, "build", own):
        raise ModelError(f"model {name!r}: {problem}")
    try:
        return cast("nn.Module", builder(image_shape, num_classes, **own))
    except (ValueError, TypeError) as error:
        raise ModelError(f"model {name!r} refuses its settings {own!r}: {error}") from error


def _callable(name: str) -> Callable[..., nn.Module]:
    library = library_of(name)
    return library.builder(name.partition(":")[2]) if library else imported("model", name, ModelError)
