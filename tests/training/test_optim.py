"""Optimizers: the form that a device executes, and what they say of it."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import nn

from harness.config import optimizers
from harness.config.optimizers import OPTIMIZERS, Optimizer
from harness.registry import example_of
from harness.training import optim
from harness.training.lr_schedule import LearningRate
from harness.training.optim import load_state, optimizer_for
from tests.support.trials import small_trial

DECAY = {"name": "ExponentialLR", "gamma": 0.1}
# On a CPU these are as torch has them: nothing there can be captured.
NEVER_CAPTURED = ("Adagrad", "Adafactor", "Muon")


def made(kind: type[Optimizer], **training: Any) -> tuple[torch.optim.Optimizer, LearningRate]:
    """Make an optimizer of a linear net in float32, and what sets its rate."""
    settings = small_trial(optimizer={**example_of(kind), "lr": 0.1}, **training).settings.training
    found = optimizer_for(settings, nn.Linear(5, 3, bias=False))
    return found, LearningRate(settings, found, steps_per_epoch=1)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_no_optimizer_warns_that_it_could_be_captured_and_is_not(kind: type[Optimizer]) -> None:
    found, _ = made(kind)
    load_state(found, found.state_dict())
    assert found._warned_capturable_if_run_uncaptured


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_forms_are_those_that_torch_has(kind: type[Optimizer]) -> None:
    theirs = inspect.signature(getattr(torch.optim, kind.__name__)).parameters
    assert kind.is_capturable == ("capturable" in theirs)
    assert not kind.is_fused or "fused" in theirs


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_rate_is_a_tensor_only_where_it_is_read_from_one_and_changes(
    kind: type[Optimizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert made(kind, scheduler=DECAY)[0].param_groups[0]["lr"] == 0.1
    monkeypatch.setattr(optim, "_reads_rate_from_tensor", lambda parameter: True)
    assert made(kind)[0].param_groups[0]["lr"] == 0.1
    found, rate = made(kind, scheduler=DECAY)
    held = found.param_groups[0]["lr"]
    if kind.__name__ in NEVER_CAPTURED:
        assert held == 0.1
    else:
        assert (held.dtype, held.dim()) == (torch.float32, 0)
        rate.set(1)
        assert held.item() == pytest.approx(0.01)
        assert rate.at(1) == pytest.approx(0.01, rel=1e-15)  # not what float32 makes of it, time and again


def test_a_rate_is_the_steps_whatever_held_it(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers, number = made(optimizers.Adam, scheduler=DECAY)
    number.set(1)
    monkeypatch.setattr(optim, "_reads_rate_from_tensor", lambda parameter: True)
    tensors, tensor = made(optimizers.Adam, scheduler=DECAY)
    load_state(tensors, numbers.state_dict())
    tensor.set(1)
    assert torch.equal(tensors.param_groups[0]["lr"], torch.tensor(0.01))
    load_state(numbers, tensors.state_dict())
    assert numbers.param_groups[0]["lr"] == number.at(1) == tensor.at(1)


def test_norms_and_biases_may_be_without_weight_decay() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.LSTM(3, 4))
    names = {each: name for name, each in model.named_parameters()}
    for kinds, exempt in {
        ("norm",): ["1.weight", "1.bias"],
        ("bias",): ["0.bias", "1.bias"],
        ("norm", "bias"): ["0.bias", "1.weight", "1.bias"],
    }.items():
        adam = {"name": "AdamW", "lr": 0.1, "no_decay": list(kinds)}
        found = optimizer_for(small_trial(optimizer=adam).settings.training, model)
        decayed, free = found.param_groups
        assert (decayed["weight_decay"], free["weight_decay"]) == (0.01, 0.0)
        assert [names[each] for each in free["params"]] == exempt
        assert len(decayed["params"]) + len(exempt) == len(names)


def test_groups_of_an_own_optimizer_keep_their_rates_relative_to_the_schedule() -> None:
    settings = small_trial(optimizer={"name": "SGD", "lr": 0.1}, scheduler=DECAY).settings.training
    one, other = (nn.Parameter(torch.zeros(1)) for _ in range(2))
    groups = [{"params": [one]}, {"params": [other], "lr": 1.0}]
    optimizer = torch.optim.SGD(groups, lr=0.1)  # type: ignore[arg-type]
    LearningRate(settings, optimizer, steps_per_epoch=1).set(1)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.01, 0.1])


def test_a_rate_that_an_own_optimizer_has_changed_is_kept_without_a_schedule() -> None:
    settings = small_trial(optimizer={"name": "SGD", "lr": 0.1}).settings.training
    before, after = (torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1) for _ in range(2))
    before.param_groups[0]["lr"] = 0.07
    load_state(after, before.state_dict())
    LearningRate(settings, after, steps_per_epoch=1).set(1)
    assert after.param_groups[0]["lr"] == 0.07
