"""By hand, in the manner of airbench: the whole dataset as one tensor on the device, no loader, no DDP.

Whole trials run side by side: one process a GPU, or one a core.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.spawn import start_processes
from torchvision.transforms.v2 import functional  # type: ignore[import-untyped]

from benchmarks.experiment import EVAL_BATCH_SIZE, Experiment
from benchmarks.trial import Trial

Split = tuple[Tensor, Tensor]


def main(experiment: Experiment, output: Path) -> None:
    """Load the data once, then deal the seeds out to the processes."""
    torch.set_num_threads(1)  # a process that has had more must not be forked
    train, test = (resized(dataset, experiment.resize) for dataset in experiment.datasets())
    devices = torch.cuda.device_count() or len(os.sched_getaffinity(0))
    processes = min(len(experiment.seeds), devices)
    arguments = (processes, experiment, output, train, test)
    if processes == 1:
        work(0, *arguments)
    else:
        method = "spawn" if torch.cuda.is_available() else "fork"
        start_processes(work, arguments, processes, start_method=method)  # type: ignore[no-untyped-call]


def resized(dataset: Any, side: int | None) -> Split:
    """Return all images, uint8 (N, 1, S, S), and labels of a torchvision dataset."""
    images = dataset.data[:, None]
    if side is not None:
        images = functional.resize(images, [side, side], antialias=True)
    return images, dataset.targets


def work(
    number: int, processes: int, experiment: Experiment, output: Path, train: Split, test: Split
) -> None:
    """Train every so many-th seed, on a device of its own."""
    if torch.cuda.is_available():
        device = torch.device("cuda", number)
        torch.cuda.set_device(device)
    else:
        device = torch.device("cpu")
        torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // processes))
    train_images, train_labels = (each.to(device) for each in train)
    test_images, test_labels = (each.to(device) for each in test)
    for seed in experiment.seeds[number::processes]:
        trial = Trial(seed)
        accuracy = train_one(experiment, trial, (train_images, train_labels), (test_images, test_labels))
        trial.append_to(output, accuracy)


def train_one(experiment: Experiment, trial: Trial, train: Split, test: Split) -> float:
    """Train one trial and return its last test accuracy."""
    images, labels = train
    device = images.device
    torch.manual_seed(trial.seed)
    network = experiment.network().to(device)
    optimizer = experiment.make_optimizer(network.parameters())
    scheduler = experiment.make_scheduler(optimizer)
    loss_of = experiment.loss()
    accuracy = 0.0
    for _ in range(experiment.epochs):
        trial.start_epoch()
        network.train()
        for chosen in torch.split(torch.randperm(len(images), device=device), experiment.batch_size):
            batch = images.index_select(0, chosen).float().div_(255)
            optimizer.zero_grad(set_to_none=True)
            with experiment.autocast(device):
                loss = loss_of(network(batch), labels.index_select(0, chosen))
            loss.backward()
            optimizer.step()
        scheduler.step()
        trial.end_training()
        accuracy = evaluate(experiment, network, *test)
        trial.end_evaluation()
    return accuracy


@torch.no_grad()
def evaluate(experiment: Experiment, network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the accuracy over the test set."""
    network.eval()
    right = torch.zeros((), dtype=torch.int64, device=images.device)
    pairs = zip(torch.split(images, EVAL_BATCH_SIZE), torch.split(labels, EVAL_BATCH_SIZE), strict=True)
    for some, references in pairs:
        with experiment.autocast(images.device):
            logits = network(some.float().div_(255))
        right += (logits.argmax(1) == references).sum()
    return float(right) / len(labels)


if __name__ == "__main__":
    main(*Experiment.from_argv())
