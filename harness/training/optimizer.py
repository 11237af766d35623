"""A trial's optimizer and schedule, from its settings, in the form that its device executes fastest."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from harness.settings import Training
from harness.training.compiler import optimizer_class

Scheduler = torch.optim.lr_scheduler.LRScheduler

# Those that torch has as one kernel over all parameters, on CPU and GPU.
_FUSED = ("SGD", "Adam", "AdamW")
_CAPTURABLE = ("Adam", "AdamW", "NAdam", "RAdam", "RMSprop")
_EXECUTION = ("fused", "foreach", "capturable", "differentiable")


def optimizer_for(training: Training, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Make the optimizer; on a GPU one whose steps can be captured in a graph, where there is such a form."""
    trained = list(parameters)
    settings: dict[str, Any] = training.optimizer.model_dump()
    name = settings.pop("name")
    if name in _FUSED:
        settings["fused"] = True
    if name in _CAPTURABLE and trained[0].is_cuda:
        settings["capturable"] = True
    return optimizer_class(name)(trained, **settings)


def load_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load a state that another device or engine may have left; how it is executed stays."""
    for group, saved in zip(optimizer.param_groups, state["param_groups"], strict=True):
        saved.update({key: group[key] for key in _EXECUTION if key in group})
    optimizer.load_state_dict(state)
    for held in optimizer.state.values():
        if "mu_product" in held:  # NAdam's own, which torch loads in the type of the weights
            held["mu_product"] = held["mu_product"].float()


def scheduler_for(training: Training, optimizer: torch.optim.Optimizer) -> Scheduler | None:
    """Make the scheduler of the learning rate, where the settings have one."""
    if training.scheduler is None:
        return None
    settings: dict[str, Any] = training.scheduler.model_dump()
    scheduler: Scheduler = getattr(torch.optim.lr_scheduler, settings.pop("name"))(optimizer, **settings)
    return scheduler


def advance(scheduler: Scheduler) -> None:
    """Have the scheduler set the next epoch's rate."""
    with warnings.catch_warnings():  # the epoch's steps may have been taken by an earlier process
        warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
        scheduler.step()
