"""Contract of a model: the call that builds it, the module it returns, the logits of its forward.

Imports no torch: where there is something to check, the user's code has imported it.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from harness.errors import ModelError, nearest

if TYPE_CHECKING:
    from torch import Tensor, nn

_EXPECTED = "(image_shape, num_classes, **settings)"
_built: weakref.WeakSet[nn.Module] = weakref.WeakSet()


def problem_of_call(
    builder: Callable[..., Any], called: str, settings: Mapping[str, Any], expected: str = _EXPECTED
) -> str:
    """Return why the callable, named `called`, cannot be called with these settings; empty if it can.

    It takes two arguments before the settings.
    """
    if hasattr(builder, "named_parameters") and not inspect.isclass(builder):
        return (
            f"found the module {called} itself, expected a function that builds one: def {called}{_EXPECTED}"
        )
    try:
        signature = inspect.signature(builder)
    except (ValueError, TypeError):  # it is written in C, and has none
        return ""
    try:
        signature.bind(None, None, **settings)
    except TypeError as error:
        names = _settings_of(signature)
        unknown = [key for key in settings if key not in names]
        hint = f"; {nearest(unknown[0], names)}" if unknown else ""
        given = ", ".join(settings) or "none"
        found = f"{called}{_without_types(signature)}"
        return (
            f"{error}: found {found}, expected {called}{expected} with the suite's settings ({given}){hint}"
        )
    return ""


def _settings_of(signature: inspect.Signature) -> list[str]:
    """List the parameters that settings can name: all but the first two."""
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [name for name, each in signature.parameters.items() if each.kind not in several][2:]


def _without_types(signature: inspect.Signature) -> inspect.Signature:
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
    return signature.replace(parameters=plain, return_annotation=inspect.Signature.empty)


def new_module(name: str, found: object) -> nn.Module:
    """Return what the model's callable has built; raise ModelError unless it is a module, and a new one."""
    from torch import nn

    if not isinstance(found, nn.Module):
        raise ModelError(f"model {name!r}: found {_named(type(found))}, expected a torch.nn.Module")
    holders = [each for each in found.modules() if each._parameters or each._buffers] or [found]
    if any(each in _built for each in holders):
        raise ModelError(
            f"model {name!r}: its result holds a module of an earlier call, expected new ones: trials "
            "would share their weights; build the module within the call, or copy it "
            "(copy.deepcopy)"
        )
    _built.update(holders)
    return found


def checked_logits(name: str, found: object, rows: int, num_classes: int) -> Tensor:
    """Return the output of a forward; raise ModelError unless it is logits: floats (rows, num_classes)."""
    import torch

    expected = f"expected logits, a tensor of floats of shape ({rows}, {num_classes}): images by classes"
    if isinstance(found, torch.Tensor) and found.is_floating_point() and found.shape == (rows, num_classes):
        return found
    raise ModelError(f"model {name!r}: its forward returns {_described(found)}, {expected}")


def _described(found: object) -> str:
    """Describe a forward's output: its type, and the shape and dtype of tensors in it."""
    import torch

    if isinstance(found, torch.Tensor):
        dtype = str(found.dtype).removeprefix("torch.")
        return f"a tensor of {dtype} of shape {tuple(found.shape)}"
    if found is None:
        return "None"
    kind = _named(type(found))
    if isinstance(found, Mapping):
        return f"{kind} with the keys {', '.join(map(repr, found)) or 'none'}"
    if isinstance(found, tuple | list):
        return f"{kind} of {len(found)}: {', '.join(type(each).__name__ for each in found) or 'nothing'}"
    return kind


def _named(kind: type) -> str:
    """Return a type's name with its article."""
    return f"{'an' if kind.__name__[0] in 'aeiouAEIOU' else 'a'} {kind.__name__}"
