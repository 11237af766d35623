"""Small trials on made-up data for the tests of training."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.data import Dataset, Split
from harness.settings import Settings
from harness.suite import Trial
from harness.training.batches import ResidentDataset
from harness.training.precision import PRECISIONS
from harness.training.world import World

MIXER = {"name": "patch_mixer", "patch_size": 4, "width": 12, "hidden": [8, 6]}
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
    model: dict[str, Any] = MIXER, seed: int = 3, precision: str = "fp64", epochs: int = 2, **training: Any
) -> Trial:
    """Make a trial of few steps; batches of 16 leave an uneven last one of 10."""
    settings = {
        "dataset": {"name": "kmnist_sample", "resize": 8},
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


def resident(trial: Trial, world: World, **sizes: int) -> ResidentDataset:
    """Put the made-up data where the trial wants it."""
    dtype = PRECISIONS[trial.settings.training.precision].dtype
    return ResidentDataset.of(small_dataset(**sizes), world.device, dtype)
