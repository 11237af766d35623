"""Optimizer of a trial, built from its settings in the form that its device executes fastest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from harness.config.settings import Training
from harness.training.dynamo_stub import optimizer_class

# Optimizers that torch has as one kernel over all parameters, on CPU and GPU.
_FUSED = ("SGD", "Adam", "AdamW")
_CAPTURABLE = ("Adam", "AdamW", "NAdam", "RAdam", "RMSprop")
_OWN = ("lr", "fused", "foreach", "capturable", "differentiable")


def optimizer_for(
    training: Training, parameters: Iterable[nn.Parameter], *, has_sparse: bool = False
) -> torch.optim.Optimizer:
    """Build the optimizer; on a GPU in a form whose steps can be captured in a graph, if there is one.

    There, a learning rate that changes is a tensor: a graph would keep a number as a constant. Fused kernels
    take neither sparse gradients nor complex parameters.
    """
    trained = list(parameters)
    settings: dict[str, Any] = training.optimizer.model_dump()
    name = settings.pop("name")
    if name in _FUSED and not has_sparse and not any(each.is_complex() for each in trained):
        settings["fused"] = True
    if name in _CAPTURABLE and trained[0].is_cuda:
        settings["capturable"] = True
    can_be_captured = name in (*_FUSED, *_CAPTURABLE)
    if training.scheduler is not None and can_be_captured and _reads_rate_from_tensor(trained[0]):
        settings["lr"] = torch.tensor(settings["lr"], dtype=torch.float32, device=trained[0].device)
    return optimizer_class(name)(trained, **settings)


def _reads_rate_from_tensor(parameter: nn.Parameter) -> bool:
    """Tell whether the rate is a tensor; torch's fused kernels take a float32 one, inexact for float64."""
    return parameter.is_cuda and parameter.dtype == torch.float32


def load_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load a state, perhaps from another device or engine; keep the rate and the execution options."""
    for group, saved in zip(optimizer.param_groups, state["param_groups"], strict=True):
        saved.update({key: group[key] for key in _OWN if key in group})
    optimizer.load_state_dict(state)
    for held in optimizer.state.values():
        if "mu_product" in held:  # of NAdam; torch loads it in the dtype of the weights
            held["mu_product"] = held["mu_product"].float()
