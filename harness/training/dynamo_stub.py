"""Monkey-patch that avoids the import of torch._dynamo, which takes a second, in ranks that compile nothing.

Optimizers and DDP import it to exclude their methods from compilation. A model that compiles itself has
imported it before, and then torch's own classes are used.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import nn
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode

_NAME = "torch._dynamo"
_HIDDEN_OF_OPTIMIZERS = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
_HIDDEN_OF_DDP = "_inside_ddp_forward"


def optimizer_class(name: str) -> type[Optimizer]:
    """Return torch's optimizer of this name, with equivalent methods that do not import the compiler."""
    kind: type[Optimizer] = getattr(torch.optim, name)
    if _NAME in sys.modules:
        return kind
    methods = {each: inspect.unwrap(getattr(kind, each)) for each in _HIDDEN_OF_OPTIMIZERS}
    return type(name, (kind,), {**methods, "step": torch.no_grad()(inspect.unwrap(kind.step))})


def data_parallel(model: nn.Module, **settings: Any) -> nn.parallel.DistributedDataParallel:
    """Wrap the model in a DDP that works the same and does not import the compiler."""
    kind: type[nn.parallel.DistributedDataParallel] = nn.parallel.DistributedDataParallel
    if _NAME in sys.modules:
        return kind(model, **settings)
    if hidden := getattr(kind, _HIDDEN_OF_DDP, None):
        plain = contextlib.contextmanager(inspect.unwrap(hidden))
        kind = cast(Any, type(kind.__name__, (kind,), {_HIDDEN_OF_DDP: plain}))
    # DDP asks whether it is going to be compiled; an import of the compiler would replace this attribute.
    answers = _Unloaded(path=f"{_NAME}.utils", get_optimize_ddp_mode=lambda: "ddp_optimizer")
    absent = vars(torch)["_dynamo"] = _Unloaded(path=_NAME, utils=answers)
    try:
        return kind(model, **settings)
    finally:
        if vars(torch)["_dynamo"] is absent:
            del vars(torch)["_dynamo"]


class DispatchMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Dispatch mode whose use does not import the compiler."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # True would import the compiler, to exclude this from it


class _Unloaded(SimpleNamespace):
    """Stand-in for the module `path`; attributes that it was not given are imported from there."""

    path: str

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.path), name)
