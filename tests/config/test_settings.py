"""The closed tables of optimizers and schedulers against the installed torch."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from harness.config import settings
from harness.strict import Strict

OPTIMIZERS = [settings.SGD, settings.Adam, settings.AdamW, settings.NAdam, settings.RAdam, settings.RMSprop]
OPTIMIZERS += [settings.Adagrad]
SCHEDULERS: list[type[Strict]] = [settings.StepLR, settings.MultiStepLR, settings.ExponentialLR]
SCHEDULERS += [settings.CosineAnnealingLR, settings.LinearLR, settings.PolynomialLR]
# Settings that choose how torch computes a step, not what; and bookkeeping of its own.
NOT_OURS = {"foreach", "maximize", "capturable", "differentiable", "fused", "last_epoch", "verbose"}
REQUIRED = {
    "lr": 0.1,
    "step_size": 2,
    "milestones": [1, 3],
    "gamma": 0.5,
    "T_max": 4,
}


def in_torch(cls: type[Strict]) -> Any:
    place = torch.optim if cls in OPTIMIZERS else torch.optim.lr_scheduler
    return getattr(place, cls.__name__)


def given(cls: type[Strict]) -> dict[str, Any]:
    """Return the settings that have no default."""
    names = [name for name, field in cls.model_fields.items() if field.is_required() and name != "name"]
    return {name: REQUIRED[name] for name in names}


def parameters(cls: type[Strict]) -> dict[str, Any]:
    signature = inspect.signature(in_torch(cls)).parameters
    not_ours = NOT_OURS | ({"decoupled_weight_decay"} if cls is settings.Adam else set())  # that is AdamW
    return {name: each.default for name, each in list(signature.items())[1:] if name not in not_ours}


@pytest.mark.parametrize("cls", [*OPTIMIZERS, *SCHEDULERS])
def test_the_settings_are_torchs_own_with_its_defaults(cls: type[Strict]) -> None:
    theirs = parameters(cls)
    assert set(cls.model_fields) - {"name"} == set(theirs)
    for name, field in cls.model_fields.items():
        if name != "name" and not field.is_required():
            default = list(theirs[name]) if isinstance(theirs[name], tuple) else theirs[name]
            assert field.default == pytest.approx(default), name


@pytest.mark.parametrize("cls", OPTIMIZERS)
def test_torch_takes_the_optimizers_settings(cls: type[Strict]) -> None:
    own = cls.model_validate({"name": cls.__name__, **given(cls)}).model_dump(exclude={"name"})
    optimizer = in_torch(cls)(nn.Linear(2, 2).parameters(), **own)
    for key, value in own.items():
        theirs = optimizer.param_groups[0][key]
        assert (list(theirs) if isinstance(theirs, tuple) else theirs) == value


@pytest.mark.parametrize("cls", SCHEDULERS)
def test_torch_takes_the_schedulers_settings(cls: type[Strict]) -> None:
    own = cls.model_validate({"name": cls.__name__, **given(cls)}).model_dump(exclude={"name"})
    optimizer = torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.1)
    scheduler = in_torch(cls)(optimizer, **own)
    optimizer.step()
    scheduler.step()


@pytest.mark.parametrize(
    ("cls", "changes"),
    [
        (settings.SGD, {"momentum": -0.1}),
        (settings.SGD, {"weight_decay": -1.0}),
        (settings.Adam, {"betas": [0.9, 1.0]}),
        (settings.Adam, {"betas": [-0.1, 0.9]}),
        (settings.Adam, {"eps": -1e-8}),
        (settings.AdamW, {"lr": -0.1}),
        (settings.NAdam, {"momentum_decay": -1.0}),
        (settings.RMSprop, {"momentum": -1.0}),
        (settings.Adagrad, {"lr_decay": -1.0}),
        (settings.Adagrad, {"initial_accumulator_value": -1.0}),
        (settings.LinearLR, {"start_factor": 0.0}),
        (settings.LinearLR, {"end_factor": 1.5}),
    ],
    ids=str,
)
def test_what_torch_refuses_is_refused_here(cls: type[Strict], changes: dict[str, Any]) -> None:
    own = {**given(cls), **changes}
    with pytest.raises(ValidationError):
        cls.model_validate({"name": cls.__name__, **own})
    subject: Any = nn.Linear(2, 2).parameters()
    if cls in SCHEDULERS:
        subject = torch.optim.SGD(subject, lr=0.1)
    with pytest.raises(ValueError, match=r"\w"):
        in_torch(cls)(subject, **own)


def test_the_tables_are_closed() -> None:
    schema = settings.Training.model_json_schema()["properties"]
    optimizers, schedulers = schema["optimizer"], schema["scheduler"]["anyOf"][0]
    for union, classes in ((optimizers, OPTIMIZERS), (schedulers, SCHEDULERS)):
        assert set(union["discriminator"]["mapping"]) == {cls.__name__ for cls in classes}
