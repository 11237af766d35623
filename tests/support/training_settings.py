"""Every entry of the registries as a trial's training settings, and trials that are trained with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.config.augmentations import AUGMENTATIONS, AugmentationSettings
from harness.config.losses import LOSSES
from harness.config.optimizers import OPTIMIZERS
from harness.config.schedulers import SCHEDULERS
from harness.config.suite import Trial
from harness.data import Dataset, Split
from harness.registry import example_of, names_of
from harness.training.dataloader import ResidentDataset
from harness.training.distributed import ProcessGroup
from tests.support.trials import losses_and_figures_on, small_trial

# Muon takes matrices only. The others divide a gradient by its own size, and that of a bias before a norm is
# nothing but rounding: it moves as far as any weight, in a direction that the number of ranks decides.
_BY_OWN_SIZE = ("Muon", "Adagrad", "Rprop", "Adafactor")
_MLP = {"name": "mlp", "hidden": [12], "dropout": 0.4}  # one norm and one dropout
_MODELS = {f"optimizer {name}": {"name": "tests.support.own_training:matrices"} for name in _BY_OWN_SIZE}


def _short(settings: dict[str, Any]) -> str:
    return str(settings["name"]).rpartition(":")[2]


OWN_LOSS = {"name": "tests.support.own_losses:focal", "gamma": 1.5}
_LOSSES = [*map(example_of, LOSSES), OWN_LOSS]

_OPTIMIZERS = [
    *map(example_of, OPTIMIZERS),
    {"name": "tests.support.own_training:sgd", "lr": 0.05, "momentum": 0.5},
]
_SCHEDULES = [*map(example_of, SCHEDULERS), {"name": "tests.support.own_training:falling", "power": 2}]
# One of torch, one that takes the length of the trial, a plain function, an own one: one code counts for all.
_PER_STEP = ("StepLR", "OneCycleLR", "cosine", "falling")
_BY_STEP = {"per": "step", "warmup_epochs": 0.7}
_AUGMENTATIONS = [*map(example_of, AUGMENTATIONS)]


def settings_of(name: str, **others: Any) -> AugmentationSettings:
    """Return an augmentation's settings."""
    (kind,) = (each for each in AUGMENTATIONS if name in names_of(each))
    return kind.model_validate({"name": name, **others})


# All at once, the one that mixes in the middle.
_SEVERAL = [each for each in _AUGMENTATIONS if each["name"] != "cutmix"]

# Training settings by name; a new entry of a registry is one more.
SETTINGS: dict[str, dict[str, Any]] = {
    **{f"optimizer {_short(each)}": {"optimizer": each} for each in _OPTIMIZERS},
    "optimizer without decay": {"optimizer": {"name": "AdamW", "lr": 0.01, "no_decay": ["norm", "bias"]}},
    **{f"schedule {_short(each)}": {"scheduler": each} for each in _SCHEDULES},
    **{
        f"schedule {_short(each)} per step": {"scheduler": each | _BY_STEP}
        for each in _SCHEDULES
        if _short(each) in _PER_STEP
    },
    "clipped": {"clip_grad_norm": 0.1},
    "accumulated": {"accumulate": 3},
    "accumulated, weighed, mixed": {
        "accumulate": 4,
        "loss": {"name": "cross_entropy", "class_weights": "balanced"},
        "augment": [{"name": "mixup", "alpha": 0.4}],
    },
    "ema": {"ema": {"decay": 0.7}},
    "swa": {"swa": {"start_epoch": 1}},
    "best on validation": {"epoch": "best_on_validation", "ema": {"decay": 0.5}},
    "early stopping": {"early_stopping": {"patience": 1, "by": "validation_accuracy"}},
    **{f"loss {_short(each)}": {"loss": each} for each in _LOSSES},
    **{f"loss {_short(each)}, balanced": {"loss": {**each, "class_weights": "balanced"}} for each in _LOSSES},
    **{each["name"]: {"augment": [each]} for each in _AUGMENTATIONS},
    "several augmentations": {"augment": _SEVERAL, "loss": {**OWN_LOSS, "class_weights": "balanced"}},
}


def dataset(num_classes: int = 3, channels: int = 3, train: int = 42, test: int = 20) -> Dataset:
    """Make up images of 8 x 8 pixels; every class has a bright row, and the first has the most samples."""
    generator = np.random.default_rng(0)

    def split(size: int) -> Split:
        labels = (generator.integers(0, num_classes + 2, size) % (num_classes + 1) % num_classes).astype(
            np.uint8
        )
        images = generator.integers(0, 100, (size, channels, 8, 8), dtype=np.uint8)
        images[np.arange(size), :, labels] += 100
        return Split(images, labels)

    return Dataset("kmnist_sample", split(train), split(test), num_classes, "0" * 64, split(13))


def trial_of(name: str, precision: str = "fp64", epochs: int = 3) -> Trial:
    """Return a trial with these settings: epochs of three steps, the last batch smaller."""
    return small_trial(_MODELS.get(name, _MLP), precision=precision, epochs=epochs, **SETTINGS[name])


def data_of(trial: Trial, world: ProcessGroup) -> ResidentDataset:
    """Put the made-up data where the trial wants it."""
    num_classes = 2 if trial.settings.training.loss.outputs(3) == 1 else 3
    dtype = torch.float64 if trial.settings.training.precision == "fp64" else torch.float32
    return ResidentDataset.of(dataset(num_classes), world.device, dtype)


def trained(world: ProcessGroup, trial: Trial, path: Path) -> list[float]:
    """Train the trial; return the global losses of all steps, then the figures of all epochs."""
    losses, found = losses_and_figures_on(data_of(trial, world), world, trial, path)
    return [*losses, *found]


def all_trained(world: ProcessGroup, folder: str) -> dict[str, list[float]]:
    """Train a trial with each of the settings."""
    paths = {name: Path(folder) / f"{world.world_size}-{number}" for number, name in enumerate(SETTINGS)}
    return {name: trained(world, trial_of(name, epochs=2), path) for name, path in paths.items()}
