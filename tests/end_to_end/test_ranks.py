"""Promise 1: where a trial ran changes nothing but the rounding of sums."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from harness.config.suite import Trial
from harness.training import batch_shard, checkpoint_policy, layers, rng, step
from harness.training.dataloader import Share
from harness.training.distributed import ProcessGroup
from harness.training.prepared_trial import prepare
from tests.support.calls import Calls
from tests.support.ranks import run_ranks
from tests.support.trials import (
    CONVNET,
    agree,
    course,
    figures,
    interrupted,
    losses_and_figures,
    places,
    resident,
    small_trial,
    train,
)


def test_first_30_losses_agree_in_float32(tmp_path: Path) -> None:
    trial = small_trial(precision="fp32", epochs=5)
    losses, _ = run_ranks(1, losses_and_figures, trial, str(tmp_path), {})[0]
    found, _ = run_ranks(4, losses_and_figures, trial, str(tmp_path), {})[0]
    assert agree(found, losses, 1e-5)


def test_a_rank_without_a_share_of_the_last_batch_takes_part(tmp_path: Path) -> None:
    trial = small_trial(epochs=2)
    sizes = {"train": 34, "test": 2}  # the last batch of 2, and the test set, leave two of four ranks without
    expected = run_ranks(1, losses_and_figures, trial, str(tmp_path), sizes)[0]
    for losses, found in run_ranks(4, losses_and_figures, trial, str(tmp_path), sizes):
        assert agree(losses, expected[0], 1e-9)
        assert agree(found, expected[1], 1e-9)


def local_norm(world: ProcessGroup, *arguments: Any) -> Any:
    """Normalise by each rank's own share."""
    layers._OURS["batch_norm"] = layers._PLAIN["batch_norm"]
    return losses_and_figures(world, *arguments)


def local_dropout(world: ProcessGroup, *arguments: Any) -> Any:
    """Draw dropout's masks by the position in the rank's share."""
    broken = lambda key, first_row, *rest: rng.positions(key, 0, *rest)  # noqa: E731
    setattr(batch_shard, "positions", broken)  # noqa: B010
    return losses_and_figures(world, *arguments)


def equal_weights(world: ProcessGroup, *arguments: Any) -> Any:
    """Weigh ranks alike, however many samples each holds."""
    plain = step.Step.train

    def train(self: step.Step, share: Share) -> Tensor:
        return plain(self, replace(share, batch=share.batch[: len(share.chosen) * world.world_size]))

    setattr(step.Step, "train", train)  # noqa: B010
    return losses_and_figures(world, *arguments)


@pytest.mark.parametrize("broken", [local_norm, local_dropout, equal_weights])
def test_each_mechanism_is_needed(broken: Callable[..., Any], tmp_path: Path) -> None:
    trial = small_trial(epochs=1)
    losses, _ = run_ranks(1, losses_and_figures, trial, str(tmp_path), {})[0]
    found, _ = run_ranks(3, broken, trial, str(tmp_path), {})[0]
    assert not agree(found, losses, 1e-6)


@pytest.mark.parametrize(
    "scheduler",
    [
        {"name": "StepLR", "step_size": 2, "gamma": 0.7},
        {"name": "MultiStepLR", "milestones": [1, 3]},
        {"name": "CosineAnnealingLR", "T_max": 4},
        {"name": "ExponentialLR", "gamma": 0.9},
        {"name": "LinearLR"},
        {"name": "PolynomialLR"},
    ],
    ids=lambda scheduler: str(scheduler["name"]),
)
def test_an_interrupted_trial_ends_as_one_in_one_go_bit_for_bit(
    scheduler: dict[str, Any], tmp_path: Path
) -> None:
    trial = small_trial(precision="fp32", epochs=4, scheduler=scheduler)
    world = ProcessGroup(0, 1, torch.device("cpu"))
    whole = interrupted(world, trial, str(tmp_path / "whole"), 0)
    for stop_after in (1, 3):
        interrupted(world, trial, str(tmp_path / "parts"), stop_after)
    assert interrupted(world, trial, str(tmp_path / "parts"), 0) == whole


def test_an_interrupted_trial_of_nadam_goes_on_as_one_in_one_go(tmp_path: Path) -> None:
    trial = small_trial(epochs=3, optimizer={"name": "NAdam", "lr": 0.01})
    world = ProcessGroup(0, 1, torch.device("cpu"))
    whole = interrupted(world, trial, str(tmp_path / "whole"), 0)
    interrupted(world, trial, str(tmp_path / "parts"), 1)
    assert interrupted(world, trial, str(tmp_path / "parts"), 0) == whole


def test_an_interrupted_trial_goes_on_with_another_world_size(tmp_path: Path) -> None:
    trial = small_trial(epochs=4)
    whole = run_ranks(1, interrupted, trial, str(tmp_path / "whole"), 0)[0]
    run_ranks(3, interrupted, trial, str(tmp_path / "parts"), 1)
    run_ranks(1, interrupted, trial, str(tmp_path / "parts"), 2)
    for found in run_ranks(2, interrupted, trial, str(tmp_path / "parts"), 0):
        assert agree(found, whole, 1e-9)


def paused(world: ProcessGroup, trial: Trial, path: str, pauses: bool) -> list[float]:
    """Train a trial; if it `pauses`, leave it at every second step or batch and go on with new objects."""
    torch.set_num_threads(1)
    checkpoint_policy._SECONDS = 0.0  # a boundary after every step and batch
    wishes = itertools.cycle(
        [
            checkpoint_policy.CheckpointAction.GO_ON,
            checkpoint_policy.CheckpointAction.STOP if pauses else checkpoint_policy.CheckpointAction.GO_ON,
        ]
    )
    data, where = resident(trial, world), places(Path(path))
    outcome = None
    while outcome is None:
        outcome = course(trial, data, world, where, Calls(on_boundary=lambda _: next(wishes)))
    return figures(outcome.epochs)


@pytest.mark.parametrize("precision", ["fp32", "fp64"])
def test_ranks_that_pause_within_epochs_find_the_same_bit_for_bit(precision: str, tmp_path: Path) -> None:
    trial = small_trial(CONVNET, precision=precision)
    whole = run_ranks(3, paused, trial, str(tmp_path / "whole"), False)
    parts = run_ranks(3, paused, trial, str(tmp_path / "parts"), True)
    assert parts == whole


def weights(world: ProcessGroup, trial: Trial, path: str) -> dict[str, Tensor]:
    """Return a trial's final weights and running statistics."""
    model = train(trial, resident(trial, world), world, Path(path)).model
    return {key: value.clone() for key, value in model.state_dict().items()}


def test_ranks_agree_on_weights_and_running_statistics(tmp_path: Path) -> None:
    trial = small_trial()
    alone = run_ranks(1, weights, trial, str(tmp_path / "1"))[0]
    together = run_ranks(3, weights, trial, str(tmp_path / "3"))
    for found in together:
        for key, value in alone.items():
            torch.testing.assert_close(found[key], value, rtol=1e-9, atol=1e-12, msg=key)


def collectives(world: ProcessGroup, trial: Trial) -> dict[str, int]:
    """Count what the ranks exchange in one training step, by operation; none of it as a list of tensors."""
    setattr(dist, "all_gather", None)  # noqa: B010
    prepared = prepare(trial, resident(trial, world), world)
    share = next(prepared.step.data.train.train_shares(1, 1, 16, world))
    prepared.step.model.train()
    prepared.step.train(share)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        prepared.step.train(share)
    counts = {each.key: each.count for each in profile.key_averages()}
    return {key: count for key, count in counts.items() if key.startswith("gloo:")}


def test_a_step_exchanges_twice_a_norm_and_once_for_all_gradients() -> None:
    trial = small_trial({"name": "mlp", "hidden": [400, 400], "dropout": 0.4})  # gradients of 1.5 MB
    for counts in run_ranks(2, collectives, trial):
        assert counts == {"gloo:all_gather": 2, "gloo:all_reduce": 2 + 1}
