"""ResNet-18 on augmented colour images: the harness beside a plain loop with a two-worker DataLoader.

`python -m benchmarks.color --data-dir FOLDER --out FILE`. The images are Fashion-MNIST's, padded to 32 x 32
pixels, each in a colour of its own that tells nothing of its class; the network is `torchvision:resnet18`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.comparison import Comparison
from benchmarks.contestant import HARNESS, Run, in_rounds, run_harness, run_python
from benchmarks.machine import machine
from harness import data

LOOP = "PyTorch, DataLoader with two workers"
TRAIN, TEST = 5_000, 2_000
BATCH, PADDING, LR = 128, 4, 0.02
SUITE = f"""\
suite: color
title: ResNet-18 on colour images
table: {{figures: false}}
dataset: {{name: npz, path: color.npz}}
seeds: SEEDS
common:
  model: {{name: "torchvision:resnet18"}}
  training:
    epochs: EPOCHS
    batch_size: {BATCH}
    optimizer: {{name: SGD, lr: {LR}, momentum: 0.9, weight_decay: 0.0005}}
    scheduler: {{name: CosineAnnealingLR, per: step}}
    augment: [{{name: pad_crop, padding: {PADDING}}}, {{name: flip}}]
experiments:
  resnet18:
"""


def write_images(file: Path, data_dir: Path | None) -> None:
    """Write the first images of Fashion-MNIST, each in a random colour, as an .npz file."""
    dataset, rng = data.load(data.named("fashion_mnist"), data_dir), np.random.default_rng(0)
    arrays = {}
    for part, split, count in (("train", dataset.train, TRAIN), ("test", dataset.test, TEST)):
        grey = np.pad(split.images[:count, 0], ((0, 0), (2, 2), (2, 2)))
        colours = rng.uniform(0.4, 1.0, (count, 1, 1, 3))
        arrays[f"x_{part}"] = (grey[..., None] * colours).astype(np.uint8)
        arrays[f"y_{part}"] = np.array(split.labels[:count])
    np.savez(file, allow_pickle=False, **arrays)


def run(contestant: str, seeds: Sequence[int], epochs: int, folder: Path, images: Path) -> Run:
    """Let a contestant train from the seeds, in a new folder."""
    folder.mkdir(parents=True)
    if contestant == HARNESS:
        suite = images.with_name("suite.yaml")
        return run_harness([str(suite), "--set", f"training.epochs={epochs}"], seeds, folder)
    settings, output = folder / "settings.json", folder / "trials.jsonl"
    chosen = {"file": str(images), "padding": PADDING, "batch_size": BATCH, "lr": LR}
    settings.write_text(json.dumps({**chosen, "seeds": list(seeds), "epochs": epochs}), encoding="utf-8")
    wall = run_python(LOOP, ["-m", "benchmarks.color_loop", str(settings), str(output)], folder)
    return Run.left_in(output, LOOP, wall, seeds)


def compare(options: argparse.Namespace, folder: Path) -> Comparison:
    """Let both train in every round, the other one first each time, after a warm-up."""
    images = folder / "color.npz"
    write_images(images, options.data_dir)
    text = SUITE.replace("SEEDS", str(options.seeds * options.rounds))
    (folder / "suite.yaml").write_text(text.replace("EPOCHS", str(options.epochs)), encoding="utf-8")

    def train(contestant: str, number: int, seeds: list[int]) -> Run:
        epochs = options.epochs if number else 1
        done = run(contestant, seeds, epochs, folder / f"round-{number}" / contestant, images)
        print(f"round {number}: {contestant}: {done.wall_seconds:.1f} s", file=sys.stderr, flush=True)
        return done

    rounds = in_rounds([HARNESS, LOOP], options.rounds, options.seeds, train)
    facts = {
        "Images": f"{TRAIN:,} and {TEST:,} of Fashion-MNIST, in colour, 32 x 32 x 3",
        "Settings": f"torchvision:resnet18, SGD, cosine rate, batch {BATCH}, fp32, pad_crop {PADDING}, flip",
        "Trials": f"{options.seeds} seeds × {options.epochs} epochs a round; rounds: {options.rounds}",
        "Machine": machine(),
    }
    return Comparison(
        "ResNet-18 on colour images", facts, options.epochs * TRAIN, options.margin_points, rounds, []
    )


def main() -> None:
    """Compare, print the table, and write it where that was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.color", description=__doc__)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=4, help="how many a round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--margin-points", type=float, default=3.0, help="how far accuracies may differ")
    parser.add_argument("--data-dir", type=Path, help="a folder with Fashion-MNIST's files")
    parser.add_argument("--out", type=Path, help="the file for the table")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="color-") as folder:
        comparison = compare(options, Path(folder))
    print(comparison.to_markdown())
    if options.out is not None:
        options.out.write_text(comparison.to_markdown(), encoding="utf-8")


if __name__ == "__main__":
    main()
