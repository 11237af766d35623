"""Detection of modules that draw random numbers of their own, and of the generator that they use."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

_STATES: dict[str, Callable[[], Any]] = {
    "torch's": lambda: torch.get_rng_state().numpy().tobytes(),
    "Python's `random`": random.getstate,
    "NumPy's": lambda: _of_numpy(np.random.get_state(legacy=False)),
}


def drawing_modules(model: nn.Module, run: Callable[[], object]) -> list[str]:
    """Describe the innermost modules whose forward moves a global random state while `run` runs."""
    moved: list[tuple[str, str]] = []
    before: dict[str, dict[str, Any]] = {}

    def enter(name: str) -> None:
        before[name] = _states()

    def leave(name: str) -> None:
        now = _states()
        for generator in _STATES:
            inner = any(
                kind == generator and (not name or each.startswith(f"{name}.") or each == name)
                for each, kind in moved
            )
            if not inner and before[name][generator] != now[generator]:
                moved.append((name, generator))

    handles = []
    for name, module in model.named_modules():
        handles.append(module.register_forward_pre_hook(lambda *_, name=name: enter(name)))
        handles.append(module.register_forward_hook(lambda *_, name=name: leave(name)))
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return [f"{described(model, name)} draws random numbers of its own ({kind})" for name, kind in moved]


def described(model: nn.Module, name: str) -> str:
    """Return a module's name and type for a message."""
    kind = type(model.get_submodule(name)).__name__
    return f"layer {name!r} ({kind})" if name else f"the forward of {kind} itself"


def _of_numpy(state: Any) -> tuple[bytes, int]:
    return state["state"]["key"].tobytes(), state["state"]["pos"]


def _states() -> dict[str, Any]:
    return {name: state() for name, state in _STATES.items()}
