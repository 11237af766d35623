"""The price of augmentation: training steps with each augmentation beside steps without one, in turn.

`python -m benchmarks.augmentation` prints the table; `--out FILE` writes it. The images are made up:
128 of 32 x 32 pixels in three colours a step, in fp32.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.machine import machine
from harness.config.augmentations import AUGMENTATIONS
from harness.config.settings import Settings
from harness.config.suite import Trial
from harness.data import Dataset, Split
from harness.markdown import table
from harness.registry import example_of
from harness.results.provenance import device_name
from harness.training.dataloader import ResidentDataset
from harness.training.distributed import alone
from harness.training.throughput import TimedTrials

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
BATCH, SIDE, CHANNELS, SAMPLES = 128, 32, 3, 4096
MODELS: dict[str, tuple[dict[str, Any], int]] = {  # and how many steps are timed at a time
    "mlp": ({"name": "mlp", "hidden": [256, 128], "dropout": 0.0}, 40),
    "torchvision:resnet18": ({"name": "torchvision:resnet18"}, 6),
}
TYPICAL: list[dict[str, Any]] = [
    {"name": "pad_crop", "padding": 4},
    {"name": "flip"},
    {"name": "cutout", "size": 8},
]
LISTS: dict[str, list[dict[str, Any]]] = {
    **{str(each["name"]): [each] for each in map(example_of, AUGMENTATIONS)},
    "pad_crop, flip, cutout": TYPICAL,
}


def made_up() -> ResidentDataset:
    """Make up the images, with random labels."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (SAMPLES, CHANNELS, SIDE, SIDE), np.uint8)
    split = Split(images, rng.integers(0, 10, SAMPLES).astype(np.uint8))
    return ResidentDataset.of(Dataset("made up", split, split, 10, "0" * 64), DEVICE, torch.float32)


def timed(model: dict[str, Any], augment: Sequence[dict[str, Any]], data: ResidentDataset) -> TimedTrials:
    """Return a trial that is ready to be timed."""
    training = {
        "epochs": 1,
        "batch_size": BATCH,
        "optimizer": {"name": "SGD", "lr": 0.01},
        "augment": list(augment),
    }
    settings = {"dataset": {"name": "kmnist_sample"}, "model": model, "training": training}
    trials = TimedTrials(
        Trial("augmentation", "one", 1, Settings.model_validate(settings)), data, alone(DEVICE), None
    )
    trials.add()
    return trials


def rows_of(model: str, data: ResidentDataset, rounds: int) -> list[list[str]]:
    """Time all lists of augmentations in turn, another one first in each round."""
    settings, steps = MODELS[model]
    trials = {"none": timed(settings, [], data)}
    trials |= {name: timed(settings, augment, data) for name, augment in LISTS.items()}
    names = list(trials)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            seconds[name].append(trials[name].train(steps) / steps)
    return [row(model, name, seconds[name], seconds["none"]) for name in names]


def row(model: str, name: str, seconds: Sequence[float], without: Sequence[float]) -> list[str]:
    """Write the medians: images/s, microseconds an image beyond a step without, and the ratio by round."""
    beyond = [1e6 * (own - other) / BATCH for own, other in zip(seconds, without, strict=True)]
    ratios = sorted(own / other for own, other in zip(seconds, without, strict=True))
    cells = [model, name, f"{BATCH / median(seconds):,.0f}"]
    if name == "none":
        return [*cells, "", ""]
    return [*cells, f"{median(beyond):.1f}", f"{median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})"]


def main() -> None:
    """Measure, print the table, and write it where that was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.augmentation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    data = made_up()
    rows = [cells for model in MODELS for cells in rows_of(model, data, options.rounds)]
    header = ("Model", "Augmentation", "Images/s", "µs an image", "Step's time, times that without")
    where = machine() if DEVICE.type == "cpu" else f"{device_name(DEVICE)}, {machine()}"
    text = (
        f"# The price of augmentation\n\n{__doc__.partition(chr(10))[0]}\nMeasured on {where}: medians of "
        f"{options.rounds} rounds; the last column has the least and the greatest too. Settings are the "
        f"examples of the suite reference.\n\n{table(header, rows)}\n"
    )
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
