"""torch's compiler, left out of ranks that compile nothing: it takes a second to import.

Optimizers and DDP load it to tell it what to leave alone. A model that compiles itself has loaded it before,
and then they are torch's own.
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

_NAME = "torch._dynamo"
_HIDDEN_OF_OPTIMIZERS = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
_HIDDEN_OF_DDP = "_inside_ddp_forward"


def optimizer_class(name: str) -> type[Optimizer]:
    """Return torch's optimizer of this name, with methods that do the same and load no compiler."""
    kind: type[Optimizer] = getattr(torch.optim, name)
    if _NAME in sys.modules:
        return kind
    methods = {each: inspect.unwrap(getattr(kind, each)) for each in _HIDDEN_OF_OPTIMIZERS}
    return type(name, (kind,), {**methods, "step": torch.no_grad()(inspect.unwrap(kind.step))})


def data_parallel(model: nn.Module, **settings: Any) -> nn.parallel.DistributedDataParallel:
    """Wrap the model by DDP, which does the same and loads no compiler."""
    kind: type[nn.parallel.DistributedDataParallel] = nn.parallel.DistributedDataParallel
    if _NAME in sys.modules:
        return kind(model, **settings)
    if hidden := getattr(kind, _HIDDEN_OF_DDP, None):
        plain = contextlib.contextmanager(inspect.unwrap(hidden))
        kind = cast(Any, type(kind.__name__, (kind,), {_HIDDEN_OF_DDP: plain}))
    # It asks whether it is going to be compiled; after the import of the compiler, its name is set anew.
    answers = _Unloaded(path=f"{_NAME}.utils", get_optimize_ddp_mode=lambda: "ddp_optimizer")
    absent = vars(torch)["_dynamo"] = _Unloaded(path=_NAME, utils=answers)
    try:
        return kind(model, **settings)
    finally:
        if vars(torch)["_dynamo"] is absent:
            del vars(torch)["_dynamo"]


class _Unloaded(SimpleNamespace):
    """Stands for the module `path`; what it was not given it takes from there."""

    path: str

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.path), name)
