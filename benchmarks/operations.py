"""What a training step asks of a device: the report's experiments, a perceptron and a ResNet-18.

`python -m benchmarks.operations` counts on made-up data and writes results/bench/operations.md and .json;
`--before FILE.json`, which an earlier commit has written, puts its counts beside them. It takes a minute.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.contestant import ROOT
from harness.config import packaged_suite
from harness.config.loader import load_suite
from harness.config.settings import PrecisionName, Settings
from harness.config.suite import Trial
from harness.data import Dataset, Split
from harness.markdown import escaped, table
from harness.runner.bench.count import torch_version
from harness.runner.bench.count_table import COLUMNS, COUNTED, cells
from harness.runner.bench.grid import trial_of
from harness.training.dataloader import DataOn, ResidentDataset
from harness.training.operations import StepCount, count_step

PRECISIONS: tuple[PrecisionName, ...] = ("fp32", "bf16")
CLASSES = 10
SUITES = {
    "patch_size": ("exp-1", "exp-2", "exp-3"),
    "depth": ("exp-4", "exp-5"),
    "final": ("final",),
    packaged_suite.NAME: ("mlp",),
}
RESNET: dict[str, Any] = {
    "epochs": 1,
    "batch_size": 128,
    "optimizer": {"name": "SGD", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.0005},
}
AUGMENT = [{"name": "pad_crop", "padding": 4}, {"name": "flip"}, {"name": "cutout", "size": 8}]
Counts = dict[str, dict[str, StepCount]]


@dataclass(frozen=True)
class Case:
    """One experiment by precision, the shape of its images and where they are kept."""

    trials: Mapping[PrecisionName, Trial]
    image_shape: tuple[int, ...]
    data_on: DataOn = "device"

    def count(self, precision: PrecisionName, batch_size: int | None = None) -> StepCount:
        """Count a step; by default its batch is that of the experiment."""
        trial = self.trials[precision]
        rows = batch_size or trial.settings.training.batch_size
        images, labels = np.zeros((rows, *self.image_shape), np.uint8), np.arange(rows) % CLASSES
        split = Split(images, labels.astype(np.uint8))
        dataset = Dataset("made up", split, split, CLASSES, "0" * 64)
        data = ResidentDataset.of(dataset, torch.device("cpu"), torch.float32, self.data_on)
        return count_step(trial, data)


def cases() -> dict[str, Case]:
    """Return the cases by name."""
    found: dict[str, Case] = {}
    for name, experiments in SUITES.items():
        suite = load_suite(ROOT / "suites" / f"{name}.yaml")
        side = suite.dataset.resize or 28
        for each in experiments:
            found[each] = Case({one: trial_of(suite, each, one) for one in PRECISIONS}, (1, side, side))
    resnet, colour = "resnet18, colour", (3, 32, 32)
    found[resnet] = Case(_resnet(), colour)
    found[f"{resnet}, data on the host"] = Case(_resnet(), colour, "host")
    found[f"{resnet}, augmented"] = Case(_resnet(augment=AUGMENT), colour)
    return found


def _resnet(**training: Any) -> dict[PrecisionName, Trial]:
    model = {"name": "torchvision:resnet18"}
    given = {"dataset": {"name": "kmnist_sample"}, "model": model, "training": {**RESNET, **training}}
    settings = {
        one: Settings.model_validate({**given, "training": {**given["training"], "precision": one}})
        for one in PRECISIONS
    }
    return {one: Trial("made-up", "resnet18", 1, each) for one, each in settings.items()}


def counted() -> Counts:
    """Count all cases in all precisions."""
    found: Counts = {}
    for name, case in cases().items():
        found[name] = {precision: case.count(precision) for precision in PRECISIONS}
        print(f"{name}: {found[name]['fp32'].operations} operations in fp32", file=sys.stderr, flush=True)
    return found


def page(now: Counts, before: Counts) -> str:
    """Return the counts as a table; where they were others before, as `before → now`."""
    rows = []
    for name, by_precision in now.items():
        for precision, step in by_precision.items():
            then = before.get(name, {}).get(precision, step)
            pairs = zip(cells(then), cells(step), strict=True)
            values = [new if old == new else f"{old} → {new}" for old, new in pairs]
            rows.append([escaped(name), precision, *values])
    notes = [
        f"Counted on a CPU with torch {torch_version()}, on made-up data; nothing was trained. {COLUMNS}",
        "Batches of 128, of mlp 64. Images of 32 × 32 pixels, of mlp 16 × 16; grey where no colour is named.",
        *(["Where two figures stand, the first is that before the change."] if before else []),
        "Made with `python -m benchmarks.operations`.",
    ]
    title = "# What a training step asks of a device"
    text = table(["Experiment", "Precision", *COUNTED], rows)
    return "\n".join([title, "", text, "", *(f"- {note}" for note in notes), ""])


def read(path: Path) -> Counts:
    """Read the counts of an earlier commit."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: {precision: StepCount.model_validate(step) for precision, step in each.items()}
        for name, each in found.items()
    }


def main() -> None:
    """Count, print the page and write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.operations", description=__doc__)
    parser.add_argument("--before", type=Path, help="the .json file of an earlier commit")
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "bench" / "operations.md")
    options = parser.parse_args()
    before = read(options.before) if options.before else {}
    now = counted()
    text = page(now, before)
    plain = {name: {one: step.model_dump() for one, step in each.items()} for name, each in now.items()}
    options.out.with_suffix(".json").write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    options.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
