"""Batch norm and instance norm of the global batch, against torch's own."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.training.batch_norm import _Normalise
from harness.training.batch_shard import BatchShard
from harness.training.distributed import ProcessGroup, alone
from harness.training.layers import Takeover
from harness.training.simulated_ranks import simulate
from tests.support.layers import taken_over
from tests.support.ranks import run_ranks

CPU = torch.device("cpu")
NORMS: dict[str, tuple[type[Any], tuple[int, ...], dict[str, Any]]] = {
    "1d": (nn.BatchNorm1d, (11, 3), {}),
    "1d-length": (nn.BatchNorm1d, (11, 3, 5), {}),
    "2d": (nn.BatchNorm2d, (11, 3, 4, 2), {}),
    "3d": (nn.BatchNorm3d, (11, 3, 2, 2, 2), {}),
    "plain": (nn.BatchNorm1d, (11, 3), {"affine": False}),
    "no-bias": (nn.BatchNorm1d, (11, 3), {}),
    "cumulative": (nn.BatchNorm1d, (11, 3), {"momentum": None}),
    "untracked": (nn.BatchNorm1d, (11, 3), {"track_running_stats": False}),
    "instances": (nn.InstanceNorm1d, (11, 3, 5), {"affine": True, "track_running_stats": True}),
    "instances-2d": (nn.InstanceNorm2d, (11, 3, 4, 2), {"track_running_stats": True}),
    "sync": (nn.SyncBatchNorm, (11, 3), {}),
}


def norm_of(kind: str) -> nn.Module:
    """Make a norm over three channels."""
    cls, _, settings = NORMS[kind]
    norm: nn.Module = cls(3, **settings).double()
    if kind == "no-bias":
        setattr(norm, "bias", None)  # noqa: B010
    for each in norm.parameters():
        nn.init.uniform_(each, 0.5, 1.5)
    return norm


def gradient_of(parameter: nn.Parameter) -> Tensor:
    """Return a copy of a parameter's gradient."""
    assert parameter.grad is not None
    return parameter.grad.clone()


def passed(world: ProcessGroup, kind: str, *, train: bool = True) -> list[Tensor]:
    """Pass two batches forward and back; return output, gradients and running statistics of the whole."""
    torch.manual_seed(0)
    norm, shape = norm_of(kind), NORMS[kind][1]
    batches, upstream = torch.rand(2, *shape).double(), torch.rand(shape).double()
    norm.train(train)
    start, stop = world.share(shape[0])
    outputs = []
    with taken_over(norm, BatchShard(world, 0)):
        for batch in batches:
            x = batch[start:stop].clone().requires_grad_()
            out = norm(x)
            (out * upstream[start:stop]).sum().backward()
            assert x.grad is not None
            outputs += [out.detach(), x.grad]
    statistics = [value.double() for value in norm.buffers()]
    gradients = [world.sum_(gradient_of(each)) for each in norm.parameters()]
    return [*outputs, *statistics, *gradients]


def all_passed(world: ProcessGroup) -> dict[str, list[Tensor]]:
    """Pass the batches through every norm."""
    return {kind: passed(world, kind) for kind in NORMS}


@pytest.fixture(scope="module")
def of_three_ranks() -> list[dict[str, list[Tensor]]]:
    """Find what every norm gives over three ranks."""
    return run_ranks(3, all_passed)


@pytest.mark.e2e
@pytest.mark.parametrize("kind", NORMS)
def test_a_norm_over_three_ranks_is_torchs_norm_over_the_whole(
    kind: str, of_three_ranks: list[dict[str, list[Tensor]]]
) -> None:
    expected = passed(alone(CPU), kind)
    for index, whole in enumerate(expected):
        parts = [found[kind][index] for found in of_three_ranks]
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


@pytest.mark.e2e
def test_one_value_per_channel_has_no_statistics(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="batch norm over 1 value per channel, expected 2 or more"):
        run_ranks(2, one_row)


def one_row(world: ProcessGroup) -> None:
    """Normalise one row, held by one of the ranks; the other runs a row that counts nowhere."""
    shard, norm = BatchShard(world, 0), nn.BatchNorm1d(2)
    start, stop = world.share(1)
    shard.set(start, stop - start, 1)
    with taken_over(norm, shard):
        norm(torch.rand(1, 2))


@pytest.mark.parametrize("kind", [kind for kind in NORMS if kind != "sync"])
def test_a_row_that_counts_nowhere_is_in_no_statistics_and_no_gradient(kind: str) -> None:
    expected = passed(alone(CPU), kind)
    shape = NORMS[kind][1]
    torch.manual_seed(0)
    norm = norm_of(kind)
    models = [copy.deepcopy(norm) for _ in range(2)]
    batches, upstream = torch.rand(2, *shape).double(), torch.rand(shape).double()

    def work(world: ProcessGroup) -> list[Tensor]:
        norm, shard = models[world.rank], BatchShard(world, 0)
        rows = shape[0] if world.rank == 0 else 0
        shard.set(0, rows, shape[0])
        found = []
        with shard.active_in_thread():
            for batch in batches:
                x = (batch if rows else torch.full_like(batch[:1], 7.0)).clone().requires_grad_()
                out = norm(x)
                (out * (upstream if rows else torch.zeros_like(out))).sum().backward()
                assert x.grad is not None
                found += [out.detach(), x.grad]
        return [*found, *norm.buffers(), *(world.sum_(gradient_of(each)) for each in norm.parameters())]

    with Takeover(models[0]).functions():
        counted, empty = simulate(2, work)
    for found, whole in zip(counted, expected, strict=True):
        torch.testing.assert_close(found.double(), whole, rtol=1e-10, atol=1e-12)
    assert not empty[1].any()
    assert not empty[3].any()
    for found, whole in zip(empty[4:], expected[4:], strict=True):
        torch.testing.assert_close(found.double(), whole, rtol=1e-10, atol=1e-12)
