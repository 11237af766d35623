"""Takeover of a plain model: its norms and dropouts see the global batch, its modules stay the user's own.

While a pass runs torch's functions are replaced, not the modules: subclasses, hooks, frozen norms and
functional calls keep their meaning.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from types import ModuleType
from typing import Any

from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from harness.training.batch_norm import batch_norm, instance_norm
from harness.training.batch_shard import active_shard
from harness.training.dropout import attention, dropout_like
from harness.user_code import is_foreign

_DROPOUTS = ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
_OURS: dict[str, Callable[..., Any]] = {
    "batch_norm": batch_norm,
    "instance_norm": instance_norm,
    "scaled_dot_product_attention": attention,
    **{name: dropout_like(getattr(functional, name), name) for name in _DROPOUTS},
}
_PLAIN: dict[str, Callable[..., Any]] = {name: getattr(functional, name) for name in _OURS}
# Beside torch, packages that the harness needs and that use no torch; a rank has loaded hundreds of modules.
_KNOWN = {"torch", "numpy", "pydantic", "pydantic_core", "rich", "typer", "yaml"}


class Takeover:
    """Replacement of torch's functions, also where a user's module has imported them by name."""

    def __init__(self, model: nn.Module) -> None:
        """Prepare the model in place: dropouts learn their names, SyncBatchNorm acts as any batch norm."""
        self.replaced_layers = _counted(model)
        for name, module in model.named_modules():
            if isinstance(module, _DropoutNd):
                module.register_forward_pre_hook(partial(_enter, name))
                module.register_forward_hook(partial(_enter, ""), always_call=True)
            if isinstance(module, nn.SyncBatchNorm):
                _make_plain(name, module)

    @cached_property
    def _places(self) -> list[tuple[ModuleType, str, str]]:
        return list(_places())

    @contextlib.contextmanager
    def functions(self) -> Iterator[None]:
        """Have all callers of torch's functions call ours, until the context ends."""
        for module, alias, name in self._places:
            setattr(module, alias, _OURS[name])
        try:
            yield
        finally:
            for module, alias, name in self._places:
                setattr(module, alias, _PLAIN[name])


def _places() -> Iterator[tuple[ModuleType, str, str]]:
    """Yield where the functions are: in torch, and in modules that imported them by name."""
    names = {id(plain): name for name, plain in _PLAIN.items()}
    yield from ((functional, name, name) for name in _PLAIN)
    for module in _modules():
        if not names.keys().isdisjoint(map(id, [*vars(module).values()])):  # seldom, and quickly asked
            variables = vars(module).copy()
            yield from ((module, key, names[id(it)]) for key, it in variables.items() if id(it) in names)


def _modules() -> Iterator[ModuleType]:
    """Yield the modules that may have imported them by name."""
    for path, module in list(sys.modules.items()):
        if _is_known(path) or not isinstance(module, ModuleType):
            continue
        if not _is_standard(path, vars(module).get("__file__")):
            yield module


@functools.cache
def _is_known(path: str) -> bool:
    """Tell whether a module is torch's, the harness's, or one of a package that uses no torch."""
    is_ours = path.startswith("harness.") and not path.startswith("harness.models")
    return is_ours or path.partition(".")[0] in _KNOWN


@functools.cache
def _is_standard(path: str, file: str | None) -> bool:
    """Tell whether a module is Python's; a user's file may have the name of one."""
    return path.partition(".")[0] in sys.stdlib_module_names and (file is None or not is_foreign(file))


class _BatchNormOfAnyShape(_BatchNorm):
    """SyncBatchNorm without its own communication, which needs GPUs."""

    _check_input_dim = nn.SyncBatchNorm._check_input_dim


def _make_plain(name: str, module: nn.SyncBatchNorm) -> None:
    if type(module) is not nn.SyncBatchNorm:
        raise TypeError(
            f"layer {name!r} ({type(module).__name__}) is a subclass of SyncBatchNorm; derive it from "
            "a BatchNorm, which uses the batch of all ranks as well"
        )
    module.__class__ = _BatchNormOfAnyShape  # type: ignore[assignment]


def _enter(name: str, *_: Any) -> None:
    if shard := active_shard():
        shard.layer = name


def _counted(model: nn.Module) -> dict[str, int]:
    """Count the layers, by type, that see the global batch."""
    kinds = (_BatchNorm, _DropoutNd)
    return dict(
        sorted(Counter(type(each).__name__ for each in model.modules() if isinstance(each, kinds)).items())
    )
