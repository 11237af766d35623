"""The closed tables of optimizers and schedulers against the installed torch."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from harness.config import optimizers, schedulers
from harness.config.optimizers import OPTIMIZERS, Optimizer
from harness.config.schedulers import SCHEDULERS, OfTorchScheduler, Scheduler
from harness.config.settings import Training
from harness.registry import example_of, names_of
from harness.strict import Strict

TORCH_SCHEDULERS = [each for each in SCHEDULERS if issubclass(each, OfTorchScheduler)]
# Settings that choose how torch computes a step, not what; and bookkeeping of its own.
NOT_OURS = {"foreach", "maximize", "capturable", "differentiable", "fused", "last_epoch", "verbose"}
# Of CyclicLR and OneCycleLR: the optimizer's rate, functions, momentum, and another way to say total_steps.
NOT_OURS |= {"max_lr", "scale_fn", "scale_mode", "cycle_momentum", "base_momentum", "max_momentum"}
NOT_OURS |= {"epochs", "steps_per_epoch"}


def in_torch(cls: type[Strict]) -> Any:
    place = torch.optim if issubclass(cls, Optimizer) else torch.optim.lr_scheduler
    return getattr(place, cls.__name__)


def own(cls: type[Strict], **changes: Any) -> dict[str, Any]:
    """Return an example's settings that are torch's own."""
    found = cls.model_validate({**example_of(cls), **changes}).model_dump(exclude={"name", "per"})
    return {name: value for name, value in found.items() if value is not None} | _highest(cls)


def _highest(cls: type[Strict]) -> dict[str, Any]:
    if not issubclass(cls, OfTorchScheduler):
        return {}
    length = {cls.length: 4} if cls.length else {}
    return {**({cls.highest: 0.1} if cls.highest else {}), **length, **cls.fixed}


def ours(cls: type[Strict]) -> set[str]:
    return set(cls.model_fields) - set(Scheduler.model_fields) - {"name", "no_decay"}


def parameters(cls: type[Strict]) -> dict[str, Any]:
    signature = inspect.signature(in_torch(cls)).parameters
    not_ours = NOT_OURS | ({"decoupled_weight_decay"} if cls is optimizers.Adam else set())  # that is AdamW
    return {name: each.default for name, each in list(signature.items())[1:] if name not in not_ours}


@pytest.mark.parametrize("cls", [*OPTIMIZERS, *TORCH_SCHEDULERS])
def test_the_settings_are_torchs_own_with_its_defaults(cls: type[Strict]) -> None:
    theirs = parameters(cls)
    assert ours(cls) == set(theirs)
    for name in ours(cls):
        field = cls.model_fields[name]
        if not field.is_required() and (field.default is not None or name != "T_max"):
            default = list(theirs[name]) if isinstance(theirs[name], tuple) else theirs[name]
            assert field.default == pytest.approx(default), name


@pytest.mark.parametrize("cls", OPTIMIZERS)
def test_torch_takes_the_optimizers_settings(cls: type[Strict]) -> None:
    given = own(cls)
    optimizer = in_torch(cls)(nn.Linear(2, 2, bias=False).parameters(), **given)
    for key, value in given.items():
        theirs = optimizer.param_groups[0][key]
        assert (list(theirs) if isinstance(theirs, tuple) else theirs) == value


@pytest.mark.parametrize("cls", TORCH_SCHEDULERS)
def test_torch_takes_the_schedulers_settings(cls: type[Strict]) -> None:
    optimizer = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1)
    scheduler = in_torch(cls)(optimizer, **own(cls))
    optimizer.step()
    scheduler.step()


@pytest.mark.parametrize(
    ("cls", "changes"),
    [
        (optimizers.SGD, {"momentum": -0.1}),
        (optimizers.SGD, {"weight_decay": -1.0}),
        (optimizers.Adam, {"betas": [0.9, 1.0]}),
        (optimizers.Adam, {"betas": [-0.1, 0.9]}),
        (optimizers.Adam, {"eps": -1e-8}),
        (optimizers.AdamW, {"lr": -0.1}),
        (optimizers.NAdam, {"momentum_decay": -1.0}),
        (optimizers.RMSprop, {"momentum": -1.0}),
        (optimizers.Adagrad, {"lr_decay": -1.0}),
        (optimizers.Adagrad, {"initial_accumulator_value": -1.0}),
        (optimizers.Adadelta, {"rho": 1.1}),
        (optimizers.Rprop, {"etas": [1.1, 1.2]}),
        (optimizers.Adafactor, {"d": 0.5}),
        (optimizers.Adafactor, {"beta2_decay": 0.1}),
        (schedulers.LinearLR, {"start_factor": 0.0}),
        (schedulers.LinearLR, {"end_factor": 1.5}),
    ],
    ids=str,
)
def test_what_torch_refuses_is_refused_here(cls: type[Strict], changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        own(cls, **changes)
    subject: Any = nn.Linear(2, 2, bias=False).parameters()
    if issubclass(cls, Scheduler):
        subject = torch.optim.SGD(subject, lr=0.1)
    with pytest.raises(ValueError, match=r"\w"):
        in_torch(cls)(subject, **{**own(cls), **changes})


def test_the_suites_sections_take_what_the_registries_hold() -> None:
    base = {"epochs": 1, "batch_size": 1, "optimizer": example_of(optimizers.SGD)}
    for section, classes in {"optimizer": OPTIMIZERS, "scheduler": SCHEDULERS}.items():
        for cls in classes:
            found = Training.model_validate({**base, section: example_of(cls)})
            assert isinstance(getattr(found, section), cls)
            assert len(names_of(cls)) == 1
