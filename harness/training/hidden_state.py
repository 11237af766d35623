"""State of a model outside of its state dict: attributes, non-persistent buffers, variables of its code."""

from __future__ import annotations

import hashlib
import random
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_OF_TORCH = frozenset(vars(nn.Module())) | {"forward"}
_OTHERS = {*sys.stdlib_module_names, "torch", "numpy"}
_CONSTANTS = (
    ModuleType,
    FunctionType,
    MethodType,
    BuiltinFunctionType,
    type,
    nn.Module,
    staticmethod,
    classmethod,
)


def fingerprint(model: nn.Module) -> dict[str, str]:
    """Return a digest of everything that a forward may keep outside of the model's state dict, by name."""
    found: dict[str, str] = {}
    for name, module in model.named_modules():
        inside = f"{name}." if name else ""
        for key in module._non_persistent_buffers_set:
            found[inside + key] = _digest(module._buffers[key])
        for key, value in vars(module).items():
            if key not in _OF_TORCH:
                found[inside + key] = _digest(value)
    return found


def globals_of(model: nn.Module) -> dict[str, str]:
    """Return digests of the variables of the model's classes and of the modules that define them."""
    found: dict[str, str] = {}
    for cls in {cls for module in model.modules() for cls in type(module).__mro__}:
        if cls.__module__.partition(".")[0] not in ("torch", "builtins"):
            found |= {f"{cls.__name__}.{key}": _digest(value) for key, value in _variables(vars(cls))}
            module_vars = vars(sys.modules.get(cls.__module__, torch))
            found |= {f"{cls.__module__}.{key}": _digest(value) for key, value in _variables(module_vars)}
    return found


def _variables(namespace: Any) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in list(namespace.items()) if not key.startswith("__"))


def _digest(value: Any) -> str:
    digest = hashlib.sha256()
    for part in _parts(value, set()):
        digest.update(part)
    return digest.hexdigest()


def _parts(value: Any, seen: set[int]) -> Iterator[bytes]:
    """Yield bytes that differ where values differ; what cannot be looked into counts as its type."""
    yield type(value).__name__.encode()
    if value is None or isinstance(value, _CONSTANTS):
        return
    if isinstance(value, Tensor):
        yield str(value.shape).encode() + _bytes(value)
    elif isinstance(value, np.ndarray):
        yield value.tobytes()
    elif isinstance(value, str | bytes | bool | int | float | complex | np.generic):
        yield repr(value).encode()
    elif (state := _generator_state(value)) is not None:
        yield state
    elif id(value) not in seen:
        seen.add(id(value))
        for each in _members(value):
            yield from _parts(each, seen)


def _bytes(tensor: Tensor) -> bytes:
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
    return plain.view(torch.uint8).numpy().tobytes()


def _generator_state(value: Any) -> bytes | None:
    if isinstance(value, torch.Generator):
        return value.get_state().numpy().tobytes()
    if isinstance(value, random.Random):
        return repr(value.getstate()).encode()
    if isinstance(value, np.random.Generator):
        return repr(value.bit_generator.state).encode()
    return repr(value.get_state()).encode() if isinstance(value, np.random.RandomState) else None


def _members(value: Any) -> Iterable[Any]:
    """Return the values that a container or a user's object holds."""
    if isinstance(value, dict):
        return [each for pair in value.items() for each in pair]
    if isinstance(value, list | tuple | deque):
        return list(value)
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    is_users = type(value).__module__.partition(".")[0] not in _OTHERS
    if is_users and hasattr(value, "__dict__"):
        return list(vars(value).values())
    text = repr(value)
    return [] if " at 0x" in text else [text]  # such as itertools.count(3)
