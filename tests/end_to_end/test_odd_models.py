"""Models as users write them, trained on one, two and three ranks, and their weights in the plain module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from harness.training.checkpoint import save_weights
from harness.training.distributed import ProcessGroup
from tests.support import odd_models
from tests.support.ranks import run_ranks
from tests.support.trials import figures, resident, small_dataset, small_trial, train

# The last batch of 34 images leaves the first of three ranks without one.
SIZES = {"train": 34, "test": 37}
KINDS = sorted(odd_models.TRAINED)
# Their evaluation is random by design, or normalises over the batch that is tested.
DRAWING_IN_EVAL = "_MonteCarlo"


def trained(world: ProcessGroup, kinds: list[str], folder: str) -> dict[str, list[float]]:
    """Train models one after the other; save the weights of rank 0; return what each found."""
    torch.set_num_threads(1)
    found = {}
    for kind in kinds:
        sgd = {"name": "SGD", "lr": 0.1, "momentum": 0.9}
        model = {"name": "tests.support.odd_models:build", "kind": kind}
        trial = small_trial(
            model, epochs=1, optimizer={"name": "SGD", "lr": 0.5} if kind == "_Sparse" else sgd
        )
        outcome = train(
            trial, resident(trial, world, **SIZES), world, Path(folder) / f"{kind}-{world.world_size}"
        )
        if world.is_rank_zero:
            save_weights(Path(folder) / f"{kind}-{world.world_size}.pt", outcome.model)
        found[kind] = figures(outcome.epochs)
    return found


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, list[float]]]:
    """Train all on one, two and three ranks."""
    folder = str(tmp_path_factory.mktemp("odd"))
    return {ranks: run_ranks(ranks, trained, KINDS, folder)[0] for ranks in (1, 2, 3)} | {0: {folder: []}}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_trained_the_same_on_any_number_of_ranks(kind: str, results: Any) -> None:
    for ranks in (2, 3):
        assert results[ranks][kind] == pytest.approx(results[1][kind], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != DRAWING_IN_EVAL])
def test_saved_weights_in_the_plain_module_give_the_recorded_accuracy(kind: str, results: Any) -> None:
    (folder,) = results[0]
    test = small_dataset(**SIZES).test
    images, labels = torch.from_numpy(test.images).double() / 255, torch.from_numpy(test.labels).long()
    for ranks in (1, 2, 3):
        plain = odd_models.build((1, 8, 8), 10, kind).double()
        weights = torch.load(Path(folder) / f"{kind}-{ranks}.pt", weights_only=True)
        plain.load_state_dict(weights, assign=True)  # complex ones are of another width
        with torch.no_grad():
            right = (plain.eval()(images).argmax(1) == labels).sum()
        assert int(right) / len(labels) == results[ranks][kind][-1]
