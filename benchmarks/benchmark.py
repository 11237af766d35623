"""The benchmark: one experiment of a suite, in the form that each contestant reads."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.contestant import HARNESS, PEERS, Run, run_harness
from benchmarks.experiment import Experiment
from benchmarks.layout import lay_out
from harness import data, model_registry
from harness.config.loader import load_suite
from harness.config.losses import CrossEntropy
from harness.config.overrides import Assignment
from harness.config.settings import Settings
from harness.data.folders import roots
from harness.data.kinds.official import OfIdxFiles
from harness.data.official_sources import locate
from harness.errors import UsageError, nearest


@dataclass(frozen=True)
class Benchmark:
    """Everything that the contestants need; the harness reads `suite`, its peers `experiment`."""

    name: str
    dataset: str
    suite: Path
    data_folder: Path
    experiment: Experiment
    seeds_per_round: int
    train_size: int

    def run(self, contestant: str, seeds: list[int], epochs: int, folder: Path) -> Run:
        """Let a contestant train from the seeds, in a new folder."""
        folder.mkdir(parents=True)
        if contestant != HARNESS:
            peer = next(peer for peer in PEERS if peer.name == contestant)
            return peer.run(replace(self.experiment, seeds=seeds, epochs=epochs), folder)
        arguments = [str(self.suite), "--only", self.name, "--data-dir", str(self.data_folder)]
        for change in (f"training.epochs={epochs}", f"training.precision={self.experiment.precision}"):
            arguments += ["--set", change]
        return run_harness(arguments, seeds, folder)


def prepared(options: Namespace, folder: Path) -> Benchmark:
    """Read the suite, find its data, and lay both out in `folder`; raise HarnessError where that fails."""
    changes = [f"training.precision={options.precision}"]
    if options.epochs is not None:
        changes.append(f"training.epochs={options.epochs}")
    suite = load_suite(options.suite, [Assignment.parse(change) for change in changes])
    name = options.experiment or next(iter(suite.experiments))
    if name not in suite.experiments:
        raise UsageError(f"--experiment {name}: no such experiment; {nearest(name, suite.experiments)}")
    own = suite.experiments[name]
    settings = Settings(dataset=suite.dataset, model=own.model, training=own.training)
    if settings.model["name"] not in model_registry.shipped():
        raise UsageError(f"{name}: found the model {settings.model['name']!r}, expected a shipped one")
    seeds = options.seeds or len(suite.seeds)
    file = folder / "suite.yaml"
    base = json.dumps(str(options.suite.resolve()))
    file.write_text(f"extends: {base}\nsuite: peers\nseeds: {seeds * options.rounds}\n", encoding="utf-8")
    if not isinstance(suite.dataset, OfIdxFiles):
        raise UsageError(f"{options.suite}: found the dataset {suite.dataset.title}, expected idx files")
    dataset = data.load(suite.dataset, options.data_dir)
    source = suite.dataset.source
    found = locate(source, roots(options.data_dir, os.environ))
    if found is None:
        raise UsageError(f"{dataset.name}: its official files are not here; give their folder as --data-dir")
    root = folder / "data"
    experiment = experiment_of(settings, lay_out(source, found, root), root)
    size = len(dataset.train.labels)
    return Benchmark(name, dataset.name, file, found.resolve(), experiment, seeds, size)


def experiment_of(settings: Settings, dataset: str, root: Path) -> Experiment:
    """Return the peers' experiment; no seeds yet, and a rank a GPU, or else a core, as the batch divides."""
    training, loss = settings.training, settings.training.loss
    if not isinstance(loss, CrossEntropy) or loss.class_weights:
        raise UsageError(f"found the loss {loss!r}, expected cross_entropy without class weights")
    if training.augment:
        raise UsageError(f"found the augmentations {training.augment!r}, expected none")
    devices = torch.cuda.device_count() or len(os.sched_getaffinity(0))
    return Experiment(
        dataset=dataset,
        root=str(root),
        resize=settings.dataset.resize,
        seeds=[],
        epochs=training.epochs,
        batch_size=training.batch_size,
        world_size=max(n for n in range(1, devices + 1) if training.batch_size % n == 0),
        precision=training.precision,
        label_smoothing=loss.label_smoothing,
        optimizer=training.optimizer.model_dump(),
        scheduler=None if training.scheduler is None else training.scheduler.model_dump(),
        model=settings.model,
    )
