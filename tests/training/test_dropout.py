"""Dropout of the global batch, of every kind, against torch's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from harness.training.batch_shard import BatchShard
from harness.training.distributed import ProcessGroup, alone
from harness.training.layers import Takeover
from harness.training.simulated_ranks import simulate
from tests.support.layers import taken_over

CPU = torch.device("cpu")


def shard_of(rows: int, seed: int = 1) -> BatchShard:
    """Return the shard of a rank that has the whole batch."""
    shard = BatchShard(alone(CPU), seed)
    shard.set(0, rows, rows)
    return shard


def dropped(layer: nn.Module, x: Tensor, shard: BatchShard | None = None) -> Tensor:
    """Pass x through the layer, which is taken over."""
    with taken_over(layer, shard or shard_of(len(x))):
        out: Tensor = layer(x)
        return out


def test_a_dropout_scales_what_it_keeps_and_only_in_train_mode() -> None:
    dropout, x = nn.Dropout(0.25), torch.rand(50, 20)
    out = dropped(dropout, x)
    kept = out != 0
    torch.testing.assert_close(out[kept], x[kept] / 0.75)
    assert 0.6 < kept.float().mean() < 0.9
    assert torch.equal(dropped(dropout.eval(), x), x)


def test_a_dropout_that_is_called_twice_draws_twice_and_again_the_same_in_that_step() -> None:
    shard, model = shard_of(9), nn.ModuleDict({"layer": nn.Dropout(0.5)})
    layer, x = model["layer"], torch.ones(9, 30)
    with taken_over(model, shard):
        first = [layer(x), layer(x)]
        assert not torch.equal(*first)
        shard.set(0, 9, 9)
        assert torch.equal(layer(x), first[0])
        shard.advance()
        shard.set(0, 9, 9)
        assert not torch.equal(layer(x), first[0])
    again = nn.ModuleDict({"layer": nn.Dropout(0.5)})
    with taken_over(again, shard_of(9)):
        assert torch.equal(again["layer"](x), first[0])


@pytest.mark.parametrize("shape", [(), (8, 3), (10,)])
def test_a_dropout_that_does_not_see_the_batch_first_is_refused(shape: tuple[int, ...]) -> None:
    model = nn.ModuleDict({"layer": nn.Dropout(0.5)})
    with taken_over(model, shard_of(9)), pytest.raises(ValueError, match="dropout 'layer': found the shape"):
        model["layer"](torch.ones(shape))


KINDS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "elements": (nn.Dropout(0.3), (6, 4, 5)),
    "channels-1d": (nn.Dropout1d(0.3), (6, 40, 5)),
    "channels-2d": (nn.Dropout2d(0.3), (6, 40, 3, 2)),
    "channels-3d": (nn.Dropout3d(0.3), (6, 40, 2, 2, 2)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_dropped_is_elements_or_whole_channels(kind: str) -> None:
    layer, shape = KINDS[kind]
    out = dropped(layer, torch.ones(shape))
    kept = out[out != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / 0.7))
    if kind != "elements":
        flat = out.flatten(2)
        assert torch.equal(flat, flat[:, :, :1].expand_as(flat))
    assert 0.5 < len(kept) / out.numel() < 0.9


@pytest.mark.parametrize("layer", [nn.AlphaDropout(0.2), nn.FeatureAlphaDropout(0.2)])
def test_alpha_dropout_has_torchs_values_and_keeps_mean_and_variance(layer: nn.Module) -> None:
    x = torch.full((200, 50, 2), 0.7)
    torch.manual_seed(0)
    values = {round(float(each), 5) for each in layer(x).flatten()}
    out = dropped(layer, x)
    assert {round(float(each), 5) for each in out.flatten()} == values
    normal = dropped(nn.AlphaDropout(0.2), torch.randn(400, 500))
    assert abs(float(normal.mean())) < 0.02
    assert abs(float(normal.std()) - 1) < 0.02


def test_a_dropout_in_place_changes_what_it_is_given() -> None:
    x = torch.ones(9, 30)
    out = dropped(nn.Dropout(0.5, inplace=True), x)
    assert out is x
    assert torch.equal(x, dropped(nn.Dropout(0.5), torch.ones(9, 30)))


class _Attention(nn.Module):
    def __init__(self, *, weights: bool = False) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.4, batch_first=True).double()
        self.weights = weights

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.attention(x, x, x, need_weights=self.weights)[0]
        return out


@pytest.mark.parametrize(
    "settings", [{}, {"is_causal": True}, {"scale": 0.3}, {"attn_mask": True}, {"attn_mask": False}]
)
def test_attention_without_dropouts_effect_is_torchs(settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    query, key, value = torch.rand(3, 5, 2, 4, 8).double()
    if "attn_mask" in settings:
        mask = torch.rand(4, 4) > 0.3
        mask.fill_diagonal_(True)
        settings = {"attn_mask": mask if settings["attn_mask"] else mask.double()}
    expected = functional.scaled_dot_product_attention(query, key, value, **settings)
    with taken_over(nn.Module(), shard_of(5)):
        found = functional.scaled_dot_product_attention(query, key, value, dropout_p=1e-9, **settings)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9)


def test_attention_of_grouped_queries_is_torchs() -> None:
    torch.manual_seed(0)
    query, key = torch.rand(5, 4, 3, 8).double(), torch.rand(5, 2, 3, 8).double()
    expected = functional.scaled_dot_product_attention(query, key, key, enable_gqa=True)
    with taken_over(nn.Module(), shard_of(5)):
        found = functional.scaled_dot_product_attention(query, key, key, dropout_p=1e-9, enable_gqa=True)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9)


class _Functional(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(functional.dropout2d(x[:, :, None], 0.3, self.training), 0.5, self.training)


class _Flattened(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(x.flatten(0, 1), 0.5).view(x.shape)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "attention": _Attention,
    "attention-weights": lambda: _Attention(weights=True),
    "encoder": lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.3, batch_first=True).double(),
    "functional": _Functional,
    "flattened": _Flattened,
}


@pytest.mark.parametrize("kind", MODELS)
def test_a_mask_does_not_depend_on_how_the_batch_is_cut(kind: str) -> None:
    torch.manual_seed(0)
    model, x = MODELS[kind]().train(), torch.rand(7, 5, 8).double()

    def work(world: ProcessGroup) -> Tensor:
        shard = BatchShard(world, seed=3)
        start, stop = world.share(len(x))
        shard.set(start, stop - start, len(x))
        with shard.active_in_thread():
            out: Tensor = model(x[start:stop])
        return out

    with Takeover(model).functions():
        (whole,) = simulate(1, work)
        assert not torch.equal(whole, model.eval()(x))
        model.train()
    for ranks in (2, 3):
        with Takeover(model).functions():
            parts = in_turn(model, x, ranks)
        torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-12, atol=1e-12)


def in_turn(model: nn.Module, x: Tensor, ranks: int) -> list[Tensor]:
    """Pass the share of each rank by itself, which a dropout alone does not notice."""
    parts = []
    for rank in range(ranks):
        world = ProcessGroup(rank, ranks, CPU)
        shard = BatchShard(world, seed=3)
        start, stop = world.share(len(x))
        shard.set(start, stop - start, len(x))
        with shard.active():
            parts.append(model(x[start:stop]))
    return parts


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_recomputed_dropout_draws_the_same_mask(reentrant: bool) -> None:
    torch.manual_seed(0)
    layer, linear = nn.Dropout(0.5), nn.Linear(6, 6).double()
    model = nn.Sequential(layer, linear)

    def block(x: Tensor) -> Tensor:
        out: Tensor = layer(linear(layer(x)))
        return out

    found = []
    for recomputes in (False, True):
        x = torch.ones(9, 6).double().requires_grad_()
        shard = shard_of(9)
        shard.expects_recomputation = True
        with taken_over(model, shard):
            y = layer(x)
            y = checkpoint(block, y, use_reentrant=reentrant) if recomputes else block(y)
            layer(y).square().sum().backward()
        assert x.grad is not None
        found.append(x.grad)
        assert shard.has_recomputed == recomputes
    torch.testing.assert_close(*found)
    assert found[0].any()
