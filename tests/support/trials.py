"""Small trials on made-up data for the tests of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.config.settings import Settings
from harness.config.suite import Trial
from harness.data import Dataset, Split
from harness.results.record import EngineName, Epoch
from harness.training.callbacks import Callbacks
from harness.training.dataloader import ResidentDataset
from harness.training.distributed import ProcessGroup
from harness.training.precision import PRECISIONS
from harness.training.trainer import Outcome, Places, step_by_step
from tests.support.calls import Calls
from tests.support.ranks import ALONE

MIXER: dict[str, Any] = {"name": "patch_mixer", "patch_size": 4, "width": 12, "hidden": [8, 6]}
CONVNET: dict[str, Any] = {"name": "convnet", "channels": [6, 8], "dropout": 0.3}
MLP: dict[str, Any] = {"name": "mlp", "hidden": [20, 12], "dropout": 0.4}
# Every shipped model, as small as it can be.
_SHIPPED: tuple[dict[str, Any], ...] = (
    MIXER,
    CONVNET,
    MLP,
    {"name": "fashion_mlp"},
    {"name": "kmnist_cnn"},
    {"name": "lenet5"},
    {"name": "mlp_3x1024", "dropout": 0.2},
    {
        "name": "mlp_mixer",
        "patch_size": 4,
        "width": 8,
        "depth": 2,
        "tokens_hidden": 5,
        "channels_hidden": 9,
    },
    {"name": "preact_resnet18", "width": 3},
    {"name": "vit_tiny", "patch_size": 4, "width": 12, "depth": 2, "heads": 3},
)
SHIPPED = {each["name"]: each for each in _SHIPPED}
ADAM = {"name": "Adam", "lr": 0.01, "weight_decay": 0.001}


def small_dataset(train: int = 90, test: int = 37, side: int = 8) -> Dataset:
    """Make up images in which every class has a bright row of its own."""
    generator = np.random.default_rng(0)

    def split(size: int) -> Split:
        labels = generator.integers(0, 8, size).astype(np.uint8)
        images = generator.integers(0, 100, (size, 1, side, side), dtype=np.uint8)
        images[np.arange(size), 0, labels % side] += 100
        return Split(images, labels)

    return Dataset("kmnist_sample", split(train), split(test), 10, "0" * 64)


def small_trial(
    model: dict[str, Any] = MIXER,
    seed: int = 3,
    precision: str = "fp64",
    epochs: int = 2,
    side: int = 8,
    **training: Any,
) -> Trial:
    """Make a trial of few steps; batches of 16 leave an uneven last one of 10."""
    settings = {
        "dataset": {"name": "kmnist_sample", "resize": side},
        "model": model,
        "training": {
            "epochs": epochs,
            "batch_size": 16,
            "precision": precision,
            "optimizer": ADAM,
            **training,
        },
    }
    return Trial("suite", "experiment", seed, Settings.model_validate(settings))


def resident(trial: Trial, world: ProcessGroup, **sizes: int) -> ResidentDataset:
    """Put the made-up data where the trial wants it."""
    dtype = PRECISIONS[trial.settings.training.precision].dtype
    return ResidentDataset.of(small_dataset(**sizes), world.device, dtype)


def places(path: Path) -> Places:
    """Put a trial's two checkpoints beside `path`."""
    return Places((Path(f"{path}-1"), Path(f"{path}-2")))


def course(
    trial: Trial,
    data: ResidentDataset,
    world: ProcessGroup,
    where: Places,
    callbacks: Callbacks | None = None,
    engine: EngineName | None = None,
) -> Outcome | None:
    """Train the trial until it is done or left."""
    steps = step_by_step(trial, data, world, where, callbacks or Calls(), engine)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            outcome: Outcome | None = end.value
            return outcome


def train(
    trial: Trial,
    data: ResidentDataset,
    world: ProcessGroup,
    path: Path,
    callbacks: Callbacks | None = None,
    engine: EngineName | None = None,
) -> Outcome:
    """Train the trial to its end, with its checkpoints beside `path`."""
    outcome = course(trial, data, world, places(path), callbacks, engine)
    assert outcome is not None
    return outcome


def figures(epochs: list[Epoch]) -> list[float]:
    """Return what a trial found, without its times."""
    return [value for epoch in epochs for value in epoch.reproducible.values()]


def interrupted(world: ProcessGroup, trial: Trial, path: str, stop_after: int) -> list[float]:
    """Train until so many epochs are behind, as if killed there; go on from what is there."""

    def on_epoch(epoch: Epoch) -> None:
        if epoch.epoch == stop_after:
            raise KeyboardInterrupt

    torch.set_num_threads(1)
    try:
        outcome = train(trial, resident(trial, world), world, Path(path), Calls(on_epoch=on_epoch))
    except KeyboardInterrupt:
        return []
    return figures(outcome.epochs)


def figures_alone(trial: Trial, path: Path, callbacks: Callbacks | None = None) -> list[float]:
    """Train the trial in one process; return its figures."""
    return figures(train(trial, resident(trial, ALONE), ALONE, path, callbacks).epochs)


def losses_and_figures(
    world: ProcessGroup, trial: Trial, folder: str, sizes: dict[str, int]
) -> tuple[list[float], list[float]]:
    """Train the trial on data of these sizes; return its losses and figures."""
    return losses_and_figures_on(
        resident(trial, world, **sizes), world, trial, Path(folder) / f"{world.world_size}.checkpoint"
    )


def losses_and_figures_on(
    data: ResidentDataset, world: ProcessGroup, trial: Trial, path: Path
) -> tuple[list[float], list[float]]:
    """Return the global losses of all steps and the figures of all epochs."""
    torch.set_num_threads(1)
    losses: list[float] = []

    def on_step(_: int, loss: Tensor) -> None:
        losses.append(float(world.sum_(loss.double().clone())))

    outcome = train(trial, data, world, path, Calls(on_step=on_step))
    return losses, figures(outcome.epochs)


def agree(found: list[float], expected: list[float], tolerance: float) -> bool:
    """Tell whether all figures are within a relative tolerance."""
    return found == pytest.approx(expected, rel=tolerance, abs=0)
