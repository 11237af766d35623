"""Hugging Face Accelerate, as its documentation has it: a plain loop whose parts it prepares.

Several ranks are started by torchrun, to which `accelerate launch` passes on; one is plain Python.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, set_seed
from torch import nn
from torch.utils.data import DataLoader

from benchmarks.experiment import EVAL_BATCH_SIZE, Experiment
from benchmarks.trial import Trial

PRECISIONS = {"fp32": "no", "bf16": "bf16"}


def main(experiment: Experiment, output: Path) -> None:
    """Train from each seed in turn, on all ranks."""
    accelerator = Accelerator(
        cpu=not torch.cuda.is_available(),
        mixed_precision=PRECISIONS[experiment.precision],
        step_scheduler_with_optimizer=False,  # it steps once an epoch
        dataloader_config=DataLoaderConfiguration(split_batches=True, non_blocking=True),
    )
    train_set, test_set = experiment.datasets()
    loaders = accelerator.prepare(
        DataLoader(train_set, experiment.batch_size, shuffle=True, **experiment.loading()),
        DataLoader(test_set, EVAL_BATCH_SIZE, **experiment.loading()),
    )
    for seed in experiment.seeds:
        trial = Trial(seed)
        accuracy = train(experiment, trial, accelerator, *loaders)
        if accelerator.is_main_process:
            trial.append_to(output, accuracy)
        accelerator.free_memory()
    accelerator.end_training()


def train(
    experiment: Experiment, trial: Trial, accelerator: Any, train_loader: Any, test_loader: Any
) -> float:
    """Train one trial and return its last test accuracy."""
    set_seed(trial.seed)
    network = experiment.network()
    optimizer = experiment.make_optimizer(network.parameters())
    network, optimizer, scheduler = accelerator.prepare(
        network, optimizer, experiment.make_scheduler(optimizer)
    )
    loss_of = experiment.loss()
    accuracy = 0.0
    for _ in range(experiment.epochs):
        trial.start_epoch()
        network.train()
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = loss_of(network(images), labels)
            accelerator.backward(loss)
            optimizer.step()
        scheduler.step()
        trial.end_training()
        accuracy = evaluate(accelerator, network, test_loader)
        trial.end_evaluation()
    return accuracy


@torch.no_grad()
def evaluate(accelerator: Any, network: nn.Module, loader: Any) -> float:
    """Return the accuracy over the test set, each image once."""
    network.eval()
    right = torch.zeros((), dtype=torch.int64, device=accelerator.device)
    count = 0
    for images, labels in loader:
        predictions, references = accelerator.gather_for_metrics((network(images).argmax(1), labels))
        right += (predictions == references).sum()
        count += len(references)
    return float(right) / count


if __name__ == "__main__":
    main(*Experiment.from_argv())
