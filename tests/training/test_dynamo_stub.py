"""torch's compiler is loaded by those who compile, and by no others."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness.results.record import Epoch
from harness.training import dynamo_stub
from harness.training.device import compute_exactly
from harness.training.distributed import ProcessGroup
from tests.support.calls import Calls
from tests.support.ranks import run_ranks
from tests.support.trials import MIXER, resident, small_trial, train

OPTIMIZERS = ("Adagrad", "Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "SGD")
COMPILED = {"name": "tests.support.own_models:compiled"}


def leave(epoch: Epoch) -> None:
    """Leave the training."""
    raise KeyboardInterrupt


def trained(
    world: ProcessGroup, model: dict[str, Any], names: tuple[str, ...], folder: str
) -> tuple[bool, list[float]]:
    """Train with each optimizer, leaving after an epoch and going on; tell whether the compiler is loaded."""
    torch.set_num_threads(1)
    losses = []
    for name in names:
        trial = small_trial(model, optimizer={"name": name, "lr": 0.01})
        for callbacks in (Calls(on_epoch=leave), Calls()):
            with contextlib.suppress(KeyboardInterrupt):
                outcome = train(trial, resident(trial, world), world, Path(folder) / name, callbacks)
        losses.append(outcome.epochs[-1].train_loss)
    return "torch._dynamo" in sys.modules, losses


@pytest.mark.e2e
@pytest.mark.parametrize("world_size", [1, 2])
def test_trials_are_trained_without_it(world_size: int, tmp_path: Path) -> None:
    for is_loaded, _ in run_ranks(world_size, trained, MIXER, OPTIMIZERS, str(tmp_path)):
        assert not is_loaded


@pytest.mark.e2e
def test_a_model_that_compiles_itself_is_trained_with_it(tmp_path: Path) -> None:
    plain = run_ranks(
        1, trained, {"name": "tests.support.own_models:plain"}, ("Adam",), str(tmp_path / "plain")
    )
    for is_loaded, losses in run_ranks(2, trained, COMPILED, ("Adam",), str(tmp_path)):
        assert is_loaded
        assert losses == pytest.approx(plain[0][1], rel=1e-9, abs=0)


def exactly(world: ProcessGroup) -> tuple[bool, tuple[bool, ...]]:
    """Have products computed exactly; tell whether the compiler is loaded, and the flags that matter."""
    compute_exactly()
    flags = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        torch.backends.cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_tf32,
    )
    return "torch._dynamo" in sys.modules, flags


@pytest.mark.e2e
def test_a_gpu_computes_exactly_without_it() -> None:
    assert run_ranks(1, exactly) == [(False, (True, True, False, False, False))]


def steps(kind: type[torch.optim.Optimizer]) -> list[dict[str, Any]]:
    """Take three steps, the last with a state that was saved; return weights and state."""
    torch.manual_seed(0)
    model = nn.Linear(5, 3)
    optimizer = kind(model.parameters(), lr=0.1)  # type: ignore[call-arg]
    for number in range(3):
        if number == 2:
            optimizer.load_state_dict(optimizer.state_dict())
        optimizer.zero_grad()
        model(torch.rand(4, 5)).sum().backward()
        optimizer.step()
    return [model.state_dict(), *optimizer.state_dict()["state"].values()]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_do_the_same_without_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = steps(getattr(torch.optim, name))
    monkeypatch.delitem(sys.modules, "torch._dynamo")
    kind = dynamo_stub.optimizer_class(name)
    assert kind is not getattr(torch.optim, name)
    torch.testing.assert_close(steps(kind), expected, rtol=0, atol=0)


def test_who_asks_the_stand_in_for_more_gets_it_from_the_compiler() -> None:
    absent = dynamo_stub._Unloaded(path="json", utils=dynamo_stub._Unloaded(path="json.decoder"))
    assert absent.utils.JSONDecoder is absent.JSONDecoder
