"""Weights cast together: the same bits as autocast's casts one by one, in fewer operations."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.config.suite import Trial
from harness.training import prepared_trial
from harness.training.distributed import alone
from harness.training.prepared_trial import PreparedTrial, prepare
from harness.training.weight_casts import WeightCasts, castable
from tests.support.trials import MIXER, resident, small_trial

CPU = torch.device("cpu")
ALONE = alone(CPU)


class Watched(nn.Module):
    """A layer of each kind of use: cast alone, cast twice, read as it is too, frozen, and in no product."""

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.once = nn.Linear(shape[1] * shape[2], 8)
        self.shared = nn.Linear(8, 8)
        self.turned = nn.Linear(8, 8, bias=False)
        self.decayed = nn.Linear(8, 8, bias=False)
        self.frozen = nn.Linear(8, 8).requires_grad_(False)
        self.scale = nn.Parameter(torch.ones(8))
        self.last = nn.Linear(8, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.once(x.flatten(1)))
        x = self.shared(self.shared(x)) + x @ self.turned.weight.t() + x @ self.turned.weight
        x = self.frozen(self.decayed(x)) * self.scale
        out: Tensor = self.last(x) + self.decayed.weight.square().mean()
        return out


class Sparse(nn.Module):
    """A model whose embedding has sparse gradients."""

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(256, 4, sparse=True)
        self.last = nn.Linear(4 * shape[1] * shape[2], classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.embedding((x * 255).long()).flatten(1))
        return out


class AsksForTheDtype(nn.Module):
    """A model whose arithmetic follows the dtype of its weights."""

    def __init__(self, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(shape[1] * shape[2], classes)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1).to(self.layer.weight.dtype)
        out: Tensor = self.layer(x) + x.sum(1, keepdim=True)
        return out


def trained(
    trial: Trial, monkeypatch: pytest.MonkeyPatch, *, together: bool
) -> tuple[PreparedTrial, list[Tensor]]:
    """Take 8 steps; return the trial and its losses."""
    if not together:
        monkeypatch.setattr(prepared_trial, "castable", lambda *_: frozenset())
    prepared = prepare(trial, resident(trial, ALONE), ALONE)
    prepared.step.model.train()
    shares = [
        share
        for epoch in (1, 2)
        for share in prepared.step.data.train.train_shares(trial.seed, epoch, 16, ALONE)
    ]
    return prepared, [prepared.engine.train(share).clone() for share in shares[:8]]


def names_of(trial: Trial) -> frozenset[str]:
    """Name the trial's weights that are cast together."""
    return castable(trial.settings.model, trial.settings.training.precision, (1, 8, 8), 10, CPU)


MODELS: dict[str, dict[str, Any]] = {
    "mixer": MIXER,
    "mlp": {"name": "mlp", "hidden": [16, 8], "dropout": 0.5},
    "watched": {"name": f"{__name__}:Watched"},
    "dtype": {"name": f"{__name__}:AsksForTheDtype"},
}
# Adam takes no sparse gradients.
SPARSE = small_trial({"name": f"{__name__}:Sparse"}, precision="bf16", optimizer={"name": "SGD", "lr": 0.1})
RECIPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "in parts": {"accumulate": 3},
    "clipped": {"clip_grad_norm": 0.1},
}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("model", MODELS)
def test_eight_steps_give_the_bits_of_autocast(
    model: str, recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = small_trial(MODELS[model], precision="bf16", **RECIPES[recipe])
    together, losses = trained(trial, monkeypatch, together=True)
    apart, expected = trained(trial, monkeypatch, together=False)
    assert torch.equal(torch.stack(losses), torch.stack(expected))
    for name, weight in apart.state.model.state_dict().items():
        assert torch.equal(together.state.model.state_dict()[name], weight), name


def test_weights_are_cast_together_that_autocast_casts_once_and_nothing_else_reads() -> None:
    assert names_of(small_trial(MODELS["watched"], precision="bf16")) == {
        *("once.weight", "once.bias", "shared.weight", "shared.bias"),
        *("last.weight", "last.bias"),
    }


def test_nothing_is_cast_together_where_arithmetic_follows_a_weights_dtype_or_there_are_no_casts() -> None:
    assert names_of(small_trial(MODELS["dtype"], precision="bf16")) == frozenset()
    assert names_of(small_trial(MIXER, precision="fp32")) == frozenset()


def test_the_model_holds_its_own_weights_after_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared, _ = trained(small_trial(precision="bf16"), monkeypatch, together=True)
    held = list(prepared.state.model.parameters())
    assert {each.dtype for each in held} == {torch.float32}
    assert {id(each) for each in held} == {
        id(each) for group in prepared.state.optimizer.param_groups for each in group["params"]
    }


def test_a_weight_with_sparse_gradients_is_left_to_autocast() -> None:
    assert names_of(SPARSE) == {"last.weight", "last.bias"}


def test_a_pass_that_breaks_off_leaves_nothing_to_the_next() -> None:
    layer, names = nn.Linear(3, 2, bias=False), frozenset({"weight"})
    casts, images = WeightCasts(layer, names, torch.bfloat16), torch.ones(4, 3)

    def passed() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            layer(images).sum().backward()

    with casts.standing_in():
        passed()
    expected, layer.weight.grad = layer.weight.grad, None
    with contextlib.suppress(ArithmeticError), casts.standing_in():
        passed()
        raise ArithmeticError
    with casts.standing_in():
        passed()
    assert expected is not None
    assert layer.weight.grad is not None
    assert torch.equal(layer.weight.grad, expected)


def test_a_gradient_of_one_step_is_not_that_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared, _ = trained(small_trial(precision="bf16"), monkeypatch, together=True)
    kept = {name: each.grad for name, each in prepared.state.model.named_parameters()}
    copies = {name: each.clone() for name, each in kept.items() if each is not None}
    prepared.engine.train(next(prepared.step.data.train.train_shares(3, 3, 16, ALONE)))
    for name, each in copies.items():
        assert torch.equal(kept[name], each), name  # type: ignore[arg-type]
