"""Optimizers: the form that a device executes, and what they say of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from harness.training import optim
from harness.training.lr_schedule import LearningRate
from harness.training.optim import load_state, optimizer_for
from tests.support.trials import small_trial

NAMES = ("Adagrad", "Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "SGD")
DECAY = {"name": "ExponentialLR", "gamma": 0.1}


def made(name: str, **training: Any) -> tuple[torch.optim.Optimizer, LearningRate]:
    """Make an optimizer of a linear net in float32, and what sets its rate."""
    settings = small_trial(optimizer={"name": name, "lr": 0.1}, **training).settings.training
    made_up = optimizer_for(settings, nn.Linear(5, 3).parameters())
    return made_up, LearningRate(settings, made_up)


@pytest.mark.parametrize("name", NAMES)
def test_no_optimizer_warns_that_it_could_be_captured_and_is_not(name: str) -> None:
    found, _ = made(name)
    load_state(found, found.state_dict())
    assert found._warned_capturable_if_run_uncaptured


@pytest.mark.parametrize("name", NAMES)
def test_a_rate_is_a_tensor_only_where_it_is_read_from_one_and_changes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert made(name, scheduler=DECAY)[0].param_groups[0]["lr"] == 0.1
    monkeypatch.setattr(optim, "_reads_rate_from_tensor", lambda parameter: True)
    if name == "Adagrad":  # which is never captured
        assert made(name, scheduler=DECAY)[0].param_groups[0]["lr"] == 0.1
    else:
        assert made(name)[0].param_groups[0]["lr"] == 0.1
        found, rate = made(name, scheduler=DECAY)
        held = found.param_groups[0]["lr"]
        assert (held.dtype, held.dim()) == (torch.float32, 0)
        for _ in range(2):
            rate.advance()
        assert held.item() == pytest.approx(0.001)
        assert rate.value == pytest.approx(0.001, rel=1e-15)  # not what float32 makes of it, time and again


def test_a_rate_goes_on_from_a_state_whatever_held_it(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers, number = made("Adam", scheduler=DECAY)
    number.advance()
    monkeypatch.setattr(optim, "_reads_rate_from_tensor", lambda parameter: True)
    tensors, tensor = made("Adam", scheduler=DECAY)
    load_state(tensors, numbers.state_dict())
    tensor.load_state_dict(number.state_dict())
    assert tensor.value == number.value
    assert torch.equal(tensors.param_groups[0]["lr"], torch.tensor(0.01))
    tensor.advance()
    load_state(numbers, tensors.state_dict())
    number.load_state_dict(tensor.state_dict())
    assert numbers.param_groups[0]["lr"] == number.value == tensor.value
