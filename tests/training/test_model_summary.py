"""Summary of models: parameters and FLOPs are counted once each, and add up."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from harness.errors import ModelError
from harness.training.model_facts import initialised
from harness.training.model_summary import summary_of
from tests.support.trials import SHIPPED

SHAPE = (1, 8, 8)


class Shared(nn.Module):
    """A layer that is called twice, an output that is no tensor, a parameter of the model's own."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.layer, self.last = nn.Linear(64, 64), nn.Linear(64, classes)
        self.pair = Pair()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        one, other = self.pair(self.layer(self.layer(x.flatten(1))))
        out: torch.Tensor = self.last(one + other) * self.scale.sum()
        return out


class Pair(nn.Module):
    """What it is given, twice."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return two."""
        return x, x


def test_what_is_shared_is_counted_once_and_computed_twice() -> None:
    found = summary_of({"name": f"{__name__}:Shared"}, SHAPE, 10)
    rows = [(each.name, each.shape, each.parameters, each.flops) for each in found.layers]
    assert rows == [
        ("layer", "N × 64", 64 * 64 + 64, 2 * 64 * 64),
        ("layer", "N × 64", 0, 2 * 64 * 64),
        ("pair", "–", 0, 0),
        ("last", "N × 10", 64 * 10 + 10, 2 * 64 * 10),
        ("", "N × 10", 3, 0),
    ]


@pytest.mark.parametrize("name", SHIPPED)
def test_parameters_and_flops_of_layers_are_those_of_the_model(name: str) -> None:
    found, model = summary_of(SHIPPED[name], SHAPE, 10), initialised(SHIPPED[name], 0, SHAPE, 10).eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.rand(5, *SHAPE))
    assert found.flops == sum(each.flops for each in found.layers) == counter.get_total_flops() / 5
    parameters = sum(each.numel() for each in model.parameters())
    assert found.parameters == sum(each.parameters for each in found.layers) == parameters
    assert 2 * found.flops < found.training_flops <= 3 * found.flops


def test_attention_is_counted() -> None:
    rows = {each.name: each for each in summary_of({"name": f"{__name__}:Attending"}, SHAPE, 10).layers}
    assert rows["attention"].flops == 2 * 2 * 8 * 8 * 8  # scores and weighted values
    assert rows["attention"].shape == "N × 8 × 8"


class Attention(nn.Module):
    """Attention of torch, in one head."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend within each row of (N, tokens, width)."""
        return functional.scaled_dot_product_attention(x[:, None], x[:, None], x[:, None])[:, 0]


class Attending(nn.Module):
    """An image's rows attend to each other."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.attention, self.last = Attention(), nn.Linear(64, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        out: torch.Tensor = self.last(self.attention(x[:, 0]).flatten(1))
        return out


def narrow(shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Build a net for images of one pixel."""
    return nn.Sequential(nn.Flatten(), nn.Linear(1, classes))


def test_a_model_that_fails_is_told() -> None:
    with pytest.raises(ModelError, match="fails on made-up images: RuntimeError: mat1"):
        summary_of({"name": f"{__name__}:narrow"}, SHAPE, 10)
