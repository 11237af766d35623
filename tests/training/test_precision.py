"""Precisions: what is computed in which type."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from harness.training.batch_shard import BatchShard
from harness.training.distributed import ProcessGroup, alone
from harness.training.precision import PRECISIONS
from harness.training.prepared_trial import prepare
from tests.support.calls import Calls
from tests.support.layers import taken_over
from tests.support.ranks import run_ranks
from tests.support.trials import resident, small_trial, train

CPU = torch.device("cpu")
ALONE = alone(CPU)


def losses(precision: str, path: Path, epochs: int = 2) -> list[float]:
    """Train a small trial; return the loss of every step."""
    trial, seen = small_trial(precision=precision, epochs=epochs), list[float]()
    callbacks = Calls(on_step=lambda step, loss: seen.append(float(loss)))
    train(trial, resident(trial, ALONE), ALONE, path, callbacks)
    return seen


def test_bf16_computes_activations_in_bfloat16_and_keeps_all_else_in_float32() -> None:
    trial = small_trial(precision="bf16")
    prepared = prepare(trial, resident(trial, ALONE), ALONE)
    types: dict[str, set[torch.dtype]] = {"Linear": set(), "BatchNorm1d": set()}

    def look(layer: nn.Module, _: object, out: Tensor) -> None:
        types[type(layer).__name__].add(out.dtype)

    for layer in prepared.state.model.modules():
        if type(layer).__name__ in types:
            layer.register_forward_hook(look)
    prepared.step.model.train()
    loss = prepared.engine.train(next(prepared.step.data.train.train_shares(1, 1, 16, ALONE)))
    assert types == {"Linear": {torch.bfloat16}, "BatchNorm1d": {torch.bfloat16}}
    assert loss.dtype == torch.float32
    held = [
        *prepared.state.model.parameters(),
        *(each for each in prepared.state.model.buffers() if each.is_floating_point()),
    ]
    assert {each.dtype for each in held} == {torch.float32}
    assert {each.grad.dtype for each in prepared.state.model.parameters() if each.grad is not None} == {
        torch.float32
    }


def test_bf16_stays_near_fp32_and_is_not_it(tmp_path: Path) -> None:
    fp32, bf16 = losses("fp32", tmp_path / "fp32"), losses("bf16", tmp_path / "bf16")
    assert bf16 != fp32
    assert bf16[:6] == pytest.approx(fp32[:6], rel=2e-2)


def test_tf32_is_fp32_on_a_cpu(tmp_path: Path) -> None:
    assert losses("tf32", tmp_path / "tf32") == losses("fp32", tmp_path / "fp32")


@pytest.fixture
def _flags() -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


@pytest.mark.usefixtures("_flags")
@pytest.mark.parametrize("precision", PRECISIONS)
def test_only_tf32_lets_a_gpu_round_factors(precision: str) -> None:
    PRECISIONS[precision].set_products(torch.device("cuda"))
    rounds = precision == "tf32"
    assert torch.backends.cuda.matmul.allow_tf32 == rounds
    assert torch.backends.cudnn.allow_tf32 == rounds


def normed(world: ProcessGroup) -> list[Tensor]:
    """Normalise bfloat16 rows with large means; return output, gradient and running statistics."""
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(3)
    rows = (torch.randn(11, 3, 40) + torch.tensor([0.0, 1.0, 10.0])[:, None]).to(torch.bfloat16)
    upstream = torch.randn(11, 3, 40).to(torch.bfloat16)
    start, stop = world.share(11)
    x = rows[start:stop].clone().requires_grad_()
    with taken_over(norm, BatchShard(world, 0)):
        out = norm(x)
        out.backward(upstream[start:stop])
    assert x.grad is not None
    assert out.dtype == x.grad.dtype == torch.bfloat16
    return [out.detach(), x.grad, *(each.double() for each in norm.buffers())]


@pytest.mark.e2e
def test_a_norm_over_ranks_keeps_its_statistics_in_float32() -> None:
    expected, ranks = normed(alone(CPU)), run_ranks(3, normed)
    for index in (0, 1):
        joined = torch.cat([found[index] for found in ranks])
        torch.testing.assert_close(joined, expected[index], rtol=2e-2, atol=2e-2)
    for index in (2, 3, 4):
        torch.testing.assert_close(ranks[0][index], expected[index], rtol=1e-5, atol=1e-6)
