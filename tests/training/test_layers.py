"""Takeover of a model: its modules stay the user's own, torch's functions see the global batch."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import Mock

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import dropout as own_name

from harness.training import layers
from harness.training.batch_shard import BatchShard
from harness.training.distributed import ProcessGroup, alone
from harness.training.layers import Takeover
from tests.support.layers import taken_over
from tests.support.ranks import run_ranks

CPU = torch.device("cpu")


def test_a_takeover_counts_layers_and_keeps_all_modules() -> None:
    shared = nn.BatchNorm1d(3)
    model = nn.Sequential(shared, nn.Linear(3, 3), nn.Sequential(shared, nn.Dropout(0.1)), nn.ReLU())
    modules, names = list(model.modules()), list(model.state_dict())
    assert Takeover(model).replaced_layers == {"BatchNorm1d": 1, "Dropout": 1}
    assert all(one is another for one, another in zip(model.modules(), modules, strict=True))
    assert list(model.state_dict()) == names


def test_torchs_functions_are_its_own_again_afterwards_even_after_an_error() -> None:
    before = functional.dropout, functional.batch_norm, functional.scaled_dot_product_attention
    try:
        with Takeover(nn.Module()).functions():
            assert functional.dropout is not before[0]
            raise ArithmeticError
    except ArithmeticError:
        pass
    assert (functional.dropout, functional.batch_norm, functional.scaled_dot_product_attention) == before


def test_a_function_that_a_module_imported_under_a_name_of_its_own_is_taken_over() -> None:
    shard = BatchShard(alone(CPU), seed=1)
    shard.set(0, 9, 9)
    x = torch.ones(9, 40)
    found = []
    for function in ("own_name", "dropout"):
        shard.set(0, 9, 9)
        with taken_over(nn.Module(), shard):
            call = globals()["own_name"] if function == "own_name" else functional.dropout
            found.append(call(x, 0.5))
    assert torch.equal(*found)
    assert own_name is functional.dropout


def test_a_function_that_an_installed_module_binds_later_is_taken_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module, plain = ModuleType("net"), functional.dropout
    module.__file__ = "/usr/lib/python3/site-packages/net.py"
    vars(module)["drop"] = None
    monkeypatch.setitem(sys.modules, "net", module)
    with Takeover(nn.Module()).functions():
        pass
    vars(module)["drop"] = plain
    with Takeover(nn.Module()).functions():
        assert vars(module)["drop"] is not plain
    assert vars(module)["drop"] is plain


@pytest.mark.parametrize("name", ["code", "harness.models.own", "numpy_nets"])
def test_a_module_named_almost_like_one_without_torch_is_taken_over(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, plain, file = ModuleType(name), functional.dropout, tmp_path / "code.py"
    file.touch()
    module.__file__ = str(file)
    vars(module)["drop"] = plain
    monkeypatch.setitem(sys.modules, name, module)
    with Takeover(nn.Module()).functions():
        assert vars(module)["drop"] is not plain


def test_modules_that_never_use_torch_are_not_looked_through() -> None:
    looked_through = {module.__name__.partition(".")[0] for module in layers._modules()}
    assert not looked_through & {"torch", "numpy", "pydantic", "rich", "typer", "yaml", "json", "sys", "os"}
    assert __name__.partition(".")[0] in looked_through


def test_a_takeover_looks_through_the_modules_once(monkeypatch: pytest.MonkeyPatch) -> None:
    places = Mock(wraps=layers._places)
    monkeypatch.setattr(layers, "_places", places)
    takeover = Takeover(nn.Dropout())
    for _ in range(3):
        with takeover.functions():
            pass
    assert places.call_count == 1


class Scaled(nn.BatchNorm1d):
    """A batch norm with a forward of its own."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise and scale."""
        return 2 * super().forward(x) + 1


class Frozen(nn.Module):
    """A net that keeps its norms in eval mode, as one does when fine-tuning."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def train(self, mode: bool = True) -> Frozen:
        """Leave the norms in eval mode."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Normalise by the running statistics."""
        out: Tensor = self.norm(x)
        return out


def odd(world: ProcessGroup) -> list[Tensor]:
    """Pass a batch through norms that users changed; return outputs of this rank and running statistics."""
    torch.manual_seed(0)
    hooked = nn.BatchNorm1d(3)
    hooked.register_forward_hook(lambda module, taken, given: given * 3)
    model = nn.ModuleList([Scaled(3), Frozen(), hooked, nn.SyncBatchNorm(3)]).double().train()
    x = torch.rand(11, 3).double()
    start, stop = world.share(11)
    shard = BatchShard(world, 0)
    shard.set(start, stop - start, 11)
    with taken_over(model, shard):
        outputs = [each(x[start:stop]) for each in model]
        functional_norm = functional.batch_norm(x[start:stop], None, None, training=True)
    return [
        *(each.detach() for each in outputs),
        functional_norm,
        *(each.double() for each in model.buffers()),
    ]


@pytest.mark.e2e
def test_subclasses_hooks_frozen_norms_and_functional_ones_keep_their_meaning() -> None:
    expected, ranks = odd(alone(CPU)), run_ranks(2, odd)
    for index, whole in enumerate(expected):
        joined = torch.cat([found[index] for found in ranks]) if index < 5 else ranks[1][index]
        torch.testing.assert_close(joined, whole, rtol=1e-12, atol=1e-12)
    x = expected[4]
    torch.testing.assert_close(expected[0], 2 * x + 1)
    torch.testing.assert_close(expected[2], 3 * x)
