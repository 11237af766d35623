"""The check of a model before it is trained: what is refused, with which reason, and what is not."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness.errors import ModelError
from harness.training.model_check import check_model
from harness.training.model_facts import ModelFacts, facts_of, initialised
from tests.support import odd_models
from tests.support.trials import MLP, small_dataset, small_trial

OWN = "tests.support.odd_models:build"


def check(kind: str, precision: str = "fp64", **training: Any) -> None:
    """Check one of the odd models."""
    trial = small_trial({"name": OWN, "kind": kind}, precision=precision, **training)
    check_model(trial.settings, small_dataset())


def optimizer_of(kind: str) -> dict[str, Any]:
    """Return the optimizer with which a model is trained: sparse gradients are for few of them."""
    return {"optimizer": {"name": "SGD", "lr": 0.1}} if kind == "_Sparse" else {}


@pytest.mark.e2e
@pytest.mark.parametrize("kind", odd_models.TRAINED)
def test_models_that_are_what_they_seem_are_trained(kind: str) -> None:
    check(kind, **optimizer_of(kind))


@pytest.mark.e2e
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", ["norm_with_activation", "_FunctionalDropouts", "_Encoder", "_Recomputed"])
def test_they_are_in_every_precision(kind: str, precision: str) -> None:
    check(kind, precision)


@pytest.mark.e2e
@pytest.mark.parametrize("kind", odd_models.REFUSED)
def test_models_that_would_be_trained_as_others_are_refused_with_the_reason(kind: str) -> None:
    with pytest.raises(ModelError, match=odd_models.REFUSED[kind][1]) as refusal:
        check(kind)
    assert str(refusal.value).startswith(f"model {OWN!r}: ")


ALLOWED = ("earlier_rows", "centred", "own_running_statistics", "_PythonsRandom", "numpy_noise", "_Recurrent")


@pytest.mark.parametrize("kind", ALLOWED)
def test_dependence_on_ranks_can_be_allowed(kind: str) -> None:
    check(kind, allow_rank_dependent=True)


@pytest.mark.parametrize("kind", ["step_counter", "_UnkeepableState", "counts_in_a_generator_of_torch"])
def test_state_that_is_lost_cannot_be_allowed(kind: str) -> None:
    with pytest.raises(ModelError, match="checkpoint"):
        check(kind, allow_rank_dependent=True)


class OnlyFloat(nn.Module):
    """A net that computes in float32 whatever it is given."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.norm, self.last = nn.BatchNorm1d(shape[1] * shape[2]), nn.Linear(shape[1] * shape[2], classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        normed = nn.functional.layer_norm(self.norm(x.flatten(1)).float(), (x[0].numel(),))
        return nn.functional.linear(normed, self.last.weight.float(), self.last.bias.float()).to(x.dtype)


@pytest.mark.parametrize("precision", ["fp32", "fp64"])
def test_rounding_is_no_reason(precision: str) -> None:
    trial = small_trial({"name": f"{__name__}:OnlyFloat"}, precision=precision)
    check_model(trial.settings, small_dataset())


class Centred(nn.Module):
    """Subtract the mean over the batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(0)


def deep_norms(shape: tuple[int, int, int], classes: int, *, centred: bool) -> nn.Module:
    """Build twenty batch norms in a row, which over four images amplify rounding beyond 1e-9."""
    layers: list[nn.Module] = [Centred()] if centred else []
    for _ in range(20):
        layers += [nn.Linear(16, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU()]
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[1] * shape[2], 16), *layers, nn.Linear(16, classes))


def test_neither_is_rounding_that_many_norms_amplify() -> None:
    trial = small_trial({"name": f"{__name__}:deep_norms", "centred": False})
    check_model(trial.settings, small_dataset())
    trial = small_trial({"name": f"{__name__}:deep_norms", "centred": True})
    with pytest.raises(ModelError, match=r"layer '2' \(Centred\) depends on the other images"):
        check_model(trial.settings, small_dataset())


def test_a_last_batch_of_one_image_is_known_before() -> None:
    for batch_size, test, kind in ((89, 37, "training"), (1, 37, "training"), (16, 501, "testing")):
        settings = small_trial({"name": OWN, "kind": "untracked_norm"}, batch_size=batch_size).settings
        with pytest.raises(ModelError, match=f"the last batch of {kind} holds one image"):
            check_model(settings, small_dataset(test=test))
    settings = small_trial({"name": OWN, "kind": "scaled_norm"}).settings
    check_model(settings, small_dataset(test=501))  # in eval mode it has its running statistics
    check_model(small_trial({"name": OWN, "kind": "_ByView"}, batch_size=89).settings, small_dataset())


def test_an_optimizer_that_does_not_take_the_gradients_is_refused() -> None:
    with pytest.raises(ModelError, match=r"Adam does not train it: .*sparse"):
        check("_Sparse")


def test_the_check_leaves_random_states_and_threads_as_they_were() -> None:
    def states() -> list[object]:
        of_numpy = np.random.get_state(legacy=False)
        return [torch.get_rng_state().tolist(), random.getstate(), str(of_numpy), torch.get_num_threads()]

    before = states()
    check("_Recurrent", allow_rank_dependent=True, batch_size=17)
    assert states() == before


def fixed(image_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """Build a net that fixes its own seed."""
    torch.manual_seed(7)
    return nn.Sequential(nn.Flatten(), nn.Linear(image_shape[1] * image_shape[2], num_classes))


def test_facts_of_a_model() -> None:
    def facts(model: dict[str, Any]) -> ModelFacts:
        return facts_of(small_trial(model).settings, (1, 8, 8), 10)

    assert facts(MLP).has_fixed_weights is False
    assert facts({"name": f"{__name__}:fixed"}).has_fixed_weights is True
    assert facts({"name": OWN, "kind": "frozen_and_unused"}).has_unused is True
    assert facts({"name": OWN, "kind": "_Sparse"}).has_sparse is True
    assert facts({"name": OWN, "kind": "_Recomputed"}).recomputes is True
    assert facts(MLP).recomputes is False


def test_initial_weights_of_all_generators_follow_the_seed() -> None:
    settings = {"name": OWN, "kind": "numpy_weights"}
    one, again, other = (initialised(settings, seed, (1, 8, 8), 10).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not any(torch.equal(one[key], other[key]) for key in one)
