"""Promise 1 for every kind of model: where a trial ran changes nothing but the rounding of sums."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.config.suite import Trial
from harness.training.distributed import ProcessGroup
from tests.support.ranks import run_ranks
from tests.support.trials import CONVNET, MIXER, MLP, SHIPPED, agree, losses_and_figures, small_trial

UNUSED = {"name": "tests.support.own_models:with_unused_parameters"}
# With the least images on which their last norms are over more than a few values.
OF_TORCHVISION: tuple[tuple[dict[str, Any], int], ...] = (
    ({"name": "torchvision:shufflenet_v2_x0_5", "small_input": True}, 16),
    ({"name": "torchvision:squeezenet1_1"}, 32),
)
SGD = {"name": "SGD", "lr": 0.01, "momentum": 0.9}  # Adam enlarges gradients that are rounding

Case = tuple[Trial, dict[str, int]]  # a trial, with the sizes of its made-up data
ByRanks = dict[int, list[dict[str, tuple[list[float], list[float]]]]]

LONG: dict[str, Case] = {
    str(model["name"]): (small_trial(model, epochs=5), {}) for model in (MIXER, CONVNET, MLP, UNUSED)
}
# The others: every batch of 16 is followed by the last one, of 10.
SHORT: dict[str, Case] = {
    **{name: (small_trial(model), {"train": 26}) for name, model in SHIPPED.items() if name not in LONG},
    **{
        model["name"]: (
            small_trial(model, epochs=1, side=side, optimizer=SGD),
            {"train": 26, "test": 5, "side": side},
        )
        for model, side in OF_TORCHVISION
    },
}


def all_losses_and_figures(
    world: ProcessGroup, cases: dict[str, Case], folder: str
) -> dict[str, tuple[list[float], list[float]]]:
    """Train one trial after the other in the same ranks."""
    return {
        name: losses_and_figures(world, trial, str(Path(folder) / name), sizes)
        for name, (trial, sizes) in cases.items()
    }


@pytest.fixture(scope="module")
def by_ranks(tmp_path_factory: pytest.TempPathFactory) -> ByRanks:
    """Train all models on one to three ranks, the first few on four."""
    folder = str(tmp_path_factory.mktemp("ranks"))
    return {
        ranks: run_ranks(ranks, all_losses_and_figures, LONG if ranks == 4 else LONG | SHORT, folder)
        for ranks in (1, 2, 3, 4)
    }


@pytest.mark.parametrize("name", LONG)
def test_ranks_agree_in_float64_over_30_steps(name: str, by_ranks: ByRanks) -> None:
    losses, expected = by_ranks[1][0][name]
    assert len(losses) == 30
    for ranks in (2, 3, 4):
        for found in by_ranks[ranks]:
            assert agree(found[name][0], losses, 1e-9)
            assert agree(found[name][1], expected, 1e-9)


@pytest.mark.parametrize("name", SHORT)
def test_ranks_agree_in_float64_on_every_other_model(name: str, by_ranks: ByRanks) -> None:
    losses, expected = by_ranks[1][0][name]
    for ranks in (2, 3):
        for found in by_ranks[ranks]:
            assert agree(found[name][0], losses, 1e-9)
            assert agree(found[name][1], expected, 1e-9)
