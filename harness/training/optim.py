"""Optimizer of a trial, built from its settings in the form that its device executes fastest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from harness.config.optimizers import OwnOptimizer
from harness.config.settings import Training
from harness.errors import TrainingError
from harness.plugins import imported
from harness.training.dynamo_stub import optimizer_class
from harness.user_code import calling

_OWN = ("fused", "foreach", "capturable", "differentiable")
_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def optimizer_for(training: Training, model: nn.Module, *, has_sparse: bool = False) -> torch.optim.Optimizer:
    """Build the optimizer; on a GPU in a form whose steps can be captured in a graph, if there is one.

    There, a learning rate that changes is a tensor: a graph would keep a number as a constant. Fused kernels
    take neither sparse gradients nor complex parameters.
    """
    chosen, trained = training.optimizer, list(model.parameters())
    if isinstance(chosen, OwnOptimizer):
        return _own(chosen, trained)
    settings: dict[str, Any] = chosen.model_dump(exclude={"name", "no_decay"})
    if chosen.is_fused and not has_sparse and not any(each.is_complex() for each in trained):
        settings["fused"] = True
    if chosen.is_capturable and trained[0].is_cuda:
        settings["capturable"] = True
    can_be_captured = chosen.is_fused or chosen.is_capturable
    if training.scheduler is not None and can_be_captured and _reads_rate_from_tensor(trained[0]):
        settings["lr"] = torch.tensor(settings["lr"], dtype=torch.float32, device=trained[0].device)
    exempt = set(_without_decay(model, chosen.no_decay))
    groups = [{"params": [each for each in trained if each not in exempt]}]
    if exempt:
        groups.append({"params": [each for each in trained if each in exempt], "weight_decay": 0.0})  # type: ignore[dict-item]
    return optimizer_class(chosen.name)([each for each in groups if each["params"]], **settings)


def _own(chosen: OwnOptimizer, trained: list[nn.Parameter]) -> torch.optim.Optimizer:
    made = imported("optimizer", chosen.name, TrainingError)
    with calling(f"optimizer {chosen.name!r}", TrainingError):
        found = made(trained, lr=chosen.lr, **chosen.arguments)
    if not isinstance(found, torch.optim.Optimizer):
        raise TrainingError(
            f"optimizer {chosen.name!r}: found a {type(found).__name__}, expected a torch.optim.Optimizer"
        )
    return found


def _without_decay(model: nn.Module, kinds: list[str]) -> Iterator[nn.Parameter]:
    """Yield the parameters of these kinds: of normalization layers, and biases."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            is_norm, is_bias = isinstance(module, _NORMS), name.rpartition("_")[2] == "bias"
            if ("norm" in kinds and is_norm) or ("bias" in kinds and is_bias):
                yield parameter


def _reads_rate_from_tensor(parameter: nn.Parameter) -> bool:
    """Tell whether the rate is a tensor; torch's fused kernels take a float32 one, inexact for float64."""
    return parameter.is_cuda and parameter.dtype == torch.float32


def load_state(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load a state, perhaps from another device or engine; keep execution options, and a rate's tensor."""
    for group, saved in zip(optimizer.param_groups, state["param_groups"], strict=True):
        saved.update({key: group[key] for key in _OWN if key in group})
        if isinstance(group["lr"], Tensor) or isinstance(saved["lr"], Tensor):
            saved["lr"] = group["lr"]
    optimizer.load_state_dict(state)
    for held in optimizer.state.values():
        if "mu_product" in held:  # of NAdam; torch loads it in the dtype of the weights
            held["mu_product"] = held["mu_product"].float()
