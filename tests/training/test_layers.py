"""Batch norm and dropout of the global batch, against torch's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.training.distributed import ProcessGroup, alone
from harness.training.layers import BatchShard, GlobalBatchNorm, GlobalDropout, _Normalise, swap_layers
from tests.support.ranks import run_ranks

CPU = torch.device("cpu")
NORMS: dict[str, tuple[type[Any], tuple[int, ...], dict[str, Any]]] = {
    "1d": (nn.BatchNorm1d, (11, 3), {}),
    "1d-length": (nn.BatchNorm1d, (11, 3, 5), {}),
    "2d": (nn.BatchNorm2d, (11, 3, 4, 2), {}),
    "3d": (nn.BatchNorm3d, (11, 3, 2, 2, 2), {}),
    "plain": (nn.BatchNorm1d, (11, 3), {"affine": False}),
    "no-bias": (nn.BatchNorm1d, (11, 3), {"bias": False}),
    "cumulative": (nn.BatchNorm1d, (11, 3), {"momentum": None}),
    "untracked": (nn.BatchNorm1d, (11, 3), {"track_running_stats": False}),
}


def passed(world: ProcessGroup, kind: str, *, train: bool = True) -> list[Tensor]:
    """Pass two batches forward and back; return output, gradients and running statistics of the whole."""
    torch.manual_seed(0)
    cls, shape, settings = NORMS[kind]
    if kind == "no-bias":
        norm = cls(3).double()
        norm.bias = None
    else:
        norm = cls(3, **settings).double()
    for each in norm.parameters():
        nn.init.uniform_(each, 0.5, 1.5)
    batches, upstream = torch.rand(2, *shape).double(), torch.rand(shape).double()
    layer: nn.Module = GlobalBatchNorm(norm, BatchShard(world, 0)) if world.group else norm
    layer.train(train)
    start, stop = world.share(shape[0])
    outputs = []
    for batch in batches:
        x = batch[start:stop].clone().requires_grad_()
        out = layer(x)
        (out * upstream[start:stop]).sum().backward()
        assert x.grad is not None
        outputs += [out.detach(), x.grad]
    statistics = [value.double() for value in norm.buffers()]
    gradients = [world.sum_(each.grad.clone()) for each in norm.parameters()]
    return [*outputs, *statistics, *gradients]


@pytest.mark.parametrize("kind", NORMS)
def test_a_norm_over_three_ranks_is_torchs_norm_over_the_whole(kind: str) -> None:
    expected = passed(alone(CPU), kind)
    ranks = run_ranks(3, passed, kind)
    for index, whole in enumerate(expected):
        parts = [found[index] for found in ranks]
        joined = torch.cat(parts) if index < 4 else parts[0]
        torch.testing.assert_close(joined, whole, rtol=1e-10, atol=1e-12)


def test_the_kernel_of_a_norm_is_given_what_it_wants_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    plain = torch.ops.aten.native_batch_norm_backward

    def kernel(*arguments: Any) -> Any:
        given.append(arguments)
        return plain(*arguments)

    monkeypatch.setattr(torch.ops.aten, "native_batch_norm_backward", kernel)
    shard = BatchShard(alone(CPU), 0)
    x = torch.rand(6, 3, requires_grad=True)
    _Normalise.apply(x, None, None, 1e-5, shard)[0].sum().backward()
    (arguments,) = given
    assert all(isinstance(each, Tensor) for each in arguments[:7])  # on CUDA none may be missing


def test_a_dropout_scales_what_it_keeps_and_only_in_train_mode() -> None:
    shard = BatchShard(alone(CPU), seed=1, rows=50)
    dropout, x = GlobalDropout(0.25, "layer", shard), torch.rand(50, 20)
    out = dropout(x)
    kept = out != 0
    torch.testing.assert_close(out[kept], x[kept] / 0.75)
    assert 0.6 < kept.float().mean() < 0.9
    assert torch.equal(dropout.eval()(x), x)


def test_a_dropout_that_is_called_twice_draws_twice_and_again_the_same_in_that_step() -> None:
    shard = BatchShard(alone(CPU), seed=1, rows=9)
    dropout, x = GlobalDropout(0.5, "layer", shard), torch.ones(9, 30)
    first = [dropout(x), dropout(x)]
    assert not torch.equal(*first)
    shard.set(0, 9, 9)
    shard.step.add_(1)
    assert not torch.equal(dropout(x), first[0])
    again = GlobalDropout(0.5, "layer", BatchShard(alone(CPU), seed=1, rows=9))
    assert torch.equal(again(x), first[0])


@pytest.mark.parametrize("shape", [(9,), (8, 3)])
def test_a_dropout_that_does_not_see_the_batch_first_is_refused(shape: tuple[int, ...]) -> None:
    dropout = GlobalDropout(0.5, "layer", BatchShard(alone(CPU), seed=1, rows=9))
    with pytest.raises(ValueError, match="'layer'"):
        dropout(torch.ones(shape))


def test_swapping_says_which_and_keeps_shared_layers_shared() -> None:
    shared = nn.BatchNorm1d(3)
    model = nn.Sequential(shared, nn.Linear(3, 3), nn.Sequential(shared, nn.Dropout(0.1)), nn.ReLU())
    names = list(model.state_dict())
    assert swap_layers(model, BatchShard(alone(CPU), 0)) == {"BatchNorm1d": 1, "Dropout": 1}
    assert model[0] is model[2][0]  # type: ignore[index]
    assert isinstance(model[0], GlobalBatchNorm)
    assert list(model.state_dict()) == names


def test_one_value_per_channel_has_no_statistics(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="batch norm over 1 value per channel, expected 2 or more"):
        run_ranks(2, one_row)


def one_row(world: ProcessGroup) -> None:
    """Normalise one row, held by one of the ranks."""
    start, stop = world.share(1)
    GlobalBatchNorm(nn.BatchNorm1d(2), BatchShard(world, 0))(torch.rand(1, 2)[start:stop])
