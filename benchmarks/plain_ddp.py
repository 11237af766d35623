"""Plain PyTorch, as its DistributedDataParallel tutorial and performance tuning guide have it.

Several ranks are started by torchrun; one needs neither torchrun nor DDP.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler

from benchmarks.experiment import Experiment, Sample
from benchmarks.trial import Trial


def main(experiment: Experiment, output: Path) -> None:
    """Train from each seed in turn, on all ranks."""
    rank, local_rank = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda", local_rank) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(device)
    if experiment.world_size > 1:
        dist.init_process_group("nccl" if on_gpu else "gloo", device_id=device if on_gpu else None)
    train_set, test_set = experiment.datasets()
    sampler: DistributedSampler[Sample] = DistributedSampler(train_set, experiment.world_size, rank)
    train_loader = DataLoader(train_set, experiment.local_batch_size, sampler=sampler, **experiment.loading())
    test_loader = DataLoader(
        test_set,
        experiment.local_eval_batch_size,
        sampler=DistributedSampler(test_set, experiment.world_size, rank, shuffle=False),
        **experiment.loading(),
    )
    for seed in experiment.seeds:
        sampler.seed = seed
        trial = Trial(seed)
        accuracy = train(experiment, trial, sampler, train_loader, test_loader, device)
        if rank == 0:
            trial.append_to(output, accuracy)
    if experiment.world_size > 1:
        dist.destroy_process_group()


def train(
    experiment: Experiment,
    trial: Trial,
    sampler: DistributedSampler[Sample],
    train_loader: DataLoader[Sample],
    test_loader: DataLoader[Sample],
    device: torch.device,
) -> float:
    """Train one trial and return its last test accuracy."""
    torch.manual_seed(trial.seed)
    network = experiment.network().to(device)
    if experiment.world_size > 1:
        network = DistributedDataParallel(network, [device] if device.type == "cuda" else None)
    optimizer = experiment.make_optimizer(network.parameters())
    scheduler = experiment.make_scheduler(optimizer)
    loss_of = experiment.loss()
    accuracy = 0.0
    for epoch in range(experiment.epochs):
        trial.start_epoch()
        sampler.set_epoch(epoch)
        network.train()
        for batch in train_loader:
            images, labels = (each.to(device, non_blocking=True) for each in batch)
            optimizer.zero_grad(set_to_none=True)
            with experiment.autocast(device):
                loss = loss_of(network(images), labels)
            loss.backward()
            optimizer.step()
        scheduler.step()
        trial.end_training()
        accuracy = evaluate(experiment, network, test_loader, device)
        trial.end_evaluation()
    return accuracy


@torch.no_grad()
def evaluate(
    experiment: Experiment, network: nn.Module, loader: DataLoader[Sample], device: torch.device
) -> float:
    """Return the accuracy over the test set, as its DistributedSampler deals it out to the ranks."""
    network.eval()
    totals = torch.zeros(2, dtype=torch.int64, device=device)
    for batch in loader:
        images, labels = (each.to(device, non_blocking=True) for each in batch)
        with experiment.autocast(device):
            logits = network(images)
        totals[0] += (logits.argmax(1) == labels).sum()
        totals[1] += len(labels)
    if experiment.world_size > 1:
        dist.all_reduce(totals)
    right, count = totals.tolist()
    return float(right / count)


if __name__ == "__main__":
    main(*Experiment.from_argv())
