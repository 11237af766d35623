"""What a step costs, and whether more ranks make it shorter."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from harness.training.cost import cost_of, speedup
from harness.training.model_facts import initialised
from tests.support import ROOT
from tests.support.ranks import ALONE, CPU
from tests.support.trials import CONVNET, MIXER, MLP, resident, small_trial

GPU = torch.device("cuda")


def estimate(ranks: int = 4, device: torch.device = CPU, **changes: Any) -> float:
    trial = small_trial(**{"precision": "fp32", **changes})
    return speedup(trial, resident(trial, ALONE, train=70_000), ranks, device)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)


def test_operations_are_those_of_matrix_products() -> None:
    trial = small_trial(MLP)
    cost = cost_of(trial, resident(trial, ALONE))
    first, others = 64 * 20, 20 * 12 + 12 * 10
    # Forward, the weights' gradients and, but for the first layer, the inputs' gradients.
    assert cost.flops_per_image == 2 * (2 * first + 3 * others)
    assert cost.gradients == first + others + 20 + 12 + 10 + 2 * (20 + 12)
    assert cost.batch_norms == 2


@pytest.mark.parametrize("model", [MIXER, CONVNET, MLP], ids=lambda each: each["name"])
def test_operations_are_those_that_torch_counts(model: dict[str, Any]) -> None:
    trial = small_trial(model)
    data = resident(trial, ALONE)
    with FlopCounterMode(display=False) as counter:
        plain = initialised(model, 3, data.image_shape, 10).train()
        plain(torch.rand(16, *data.image_shape)).sum().backward()
    assert cost_of(trial, data).flops_per_image == counter.get_total_flops() / 16


@pytest.mark.e2e
def test_the_compiler_is_not_loaded() -> None:
    code = (
        "import sys\nfrom tests.training.test_cost import estimate\n"
        "estimate(batch_size=16)\nsys.exit('torch._dynamo' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_ddp_pays_where_steps_are_long_beside_their_exchanges() -> None:
    assert estimate(batch_size=16) < 0.1
    large = {"name": "mlp", "hidden": [2000], "dropout": 0}
    assert 1 < estimate(2, batch_size=60_000, model=large) < 2
    assert 2 < estimate(4, batch_size=60_000, model=large) < 4


def test_a_step_of_a_gpu_that_is_bound_by_launches_gets_no_shorter() -> None:
    assert estimate(8, GPU, batch_size=128) < 1


def test_several_threads_a_rank_leave_ddp_less_to_win(monkeypatch: pytest.MonkeyPatch) -> None:
    of_one = estimate(batch_size=60_000)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert estimate(batch_size=60_000) < of_one
