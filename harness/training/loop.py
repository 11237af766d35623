"""The training of one trial, from its weights' initialisation to its last evaluation."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from harness import model as models
from harness.record import Epoch
from harness.settings import Settings, Training
from harness.suite import Trial
from harness.training import checkpoint
from harness.training.batches import ResidentDataset
from harness.training.layers import Cut, swap_layers
from harness.training.probe import unused_parameters
from harness.training.randomness import derive
from harness.training.step import Eager, Totals
from harness.training.world import World

DTYPES = {"fp32": torch.float32, "fp64": torch.float64}


@dataclass
class Watcher:
    """Is told how far a trial is: after each step or evaluation batch, and after each epoch."""

    on_step: Callable[[int, Tensor], None] = lambda step, loss: None
    on_batch: Callable[[], None] = lambda: None
    on_epoch: Callable[[Epoch], None] = lambda epoch: None


@dataclass(frozen=True)
class Outcome:
    """What came out of a trial."""

    status: Literal["done", "diverged"]
    epochs: list[Epoch]
    parameters: int
    replaced_layers: dict[str, int]
    peak_memory_gib: float
    engine: str
    model: nn.Module


@dataclass
class Trainee:
    """A model that was taken over, with what trains it."""

    plain: nn.Module
    engine: Eager
    scheduler: torch.optim.lr_scheduler.LRScheduler | None
    replaced_layers: dict[str, int]
    parameters: int = field(init=False)

    def __post_init__(self) -> None:
        self.parameters = sum(each.numel() for each in self.plain.parameters() if each.requires_grad)


def initialised(settings: Settings, seed: int, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Build the model on the CPU with the seed's initial weights; the caller's random state stays."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "init"))
        return models.build(settings.model, shape, classes)


def prepare(trial: Trial, data: ResidentDataset, world: World) -> Trainee:
    """Build the trial's model, take it over and make what trains it."""
    training = trial.settings.training
    plain = initialised(trial.settings, trial.seed, data.image_shape, data.num_classes)
    unused = unused_parameters(
        plain, data.image_shape, str(trial.settings.model["name"]), allow=training.allow_rank_dependent
    )
    cut = Cut(world, trial.seed)
    replaced = swap_layers(plain, cut)
    plain.to(device=world.device, dtype=DTYPES[training.precision])
    optimizer = _optimizer(training, plain)
    wrapped = world.wrap(plain, find_unused_parameters=unused)
    engine = Eager(wrapped, optimizer, training, cut)
    return Trainee(plain, engine, _scheduler(training, optimizer), replaced)


def train(
    trial: Trial, data: ResidentDataset, world: World, checkpoint_path: Path, watcher: Watcher | None = None
) -> Outcome:
    """Train the trial, going on from its checkpoint where there is one, and leave one after each epoch."""
    watcher = watcher or Watcher()
    training = trial.settings.training
    _reset_peak_memory(world.device)
    trainee = prepare(trial, data, world)
    engine, scheduler = trainee.engine, trainee.scheduler
    resumable = (trainee.plain, engine.optimizer, scheduler)
    history = checkpoint.resume(checkpoint_path, trial.digest, world, *resumable)
    diverged = any(_not_finite(epoch) for epoch in history)
    while len(history) < training.epochs and not diverged:
        epoch = _epoch(trial, data, trainee, len(history) + 1, watcher)
        history.append(epoch)
        diverged = _not_finite(epoch)
        if world.owns:
            checkpoint.save(checkpoint_path, trial.digest, history, *resumable)
        watcher.on_epoch(epoch)
    return Outcome(
        status="diverged" if diverged else "done",
        epochs=history,
        parameters=trainee.parameters,
        replaced_layers=trainee.replaced_layers,
        peak_memory_gib=_peak_memory_gib(world.device),
        engine=engine.name,
        model=trainee.plain,
    )


def _epoch(trial: Trial, data: ResidentDataset, trainee: Trainee, number: int, watcher: Watcher) -> Epoch:
    engine, batch_size = trainee.engine, trial.settings.training.batch_size
    world = engine.cut.world
    lr = float(engine.optimizer.param_groups[0]["lr"])
    first_step = (number - 1) * math.ceil(len(data.train) / batch_size)
    started = _now(world.device)
    batches = data.train.train_batches(trial.seed, number, batch_size, world)
    train_loss, train_accuracy = engine.train(batches, first_step, watcher.on_step).averages(world)
    trained = _now(world.device)
    if trainee.scheduler is not None:
        trainee.scheduler.step()
    totals: Totals = engine.evaluate(data.test.eval_batches(world), watcher.on_batch)
    test_loss, test_accuracy = totals.averages(world)
    return Epoch(
        epoch=number,
        lr=lr,
        train_loss=train_loss,
        train_accuracy=train_accuracy,
        test_loss=test_loss,
        test_accuracy=test_accuracy,
        train_seconds=trained - started,
        eval_seconds=_now(world.device) - trained,
    )


def _optimizer(training: Training, model: nn.Module) -> torch.optim.Optimizer:
    settings: dict[str, Any] = training.optimizer.model_dump()
    cls = getattr(torch.optim, settings.pop("name"))
    optimizer: torch.optim.Optimizer = cls(model.parameters(), **settings)
    return optimizer


def _scheduler(
    training: Training, optimizer: torch.optim.Optimizer
) -> torch.optim.lr_scheduler.LRScheduler | None:
    if training.scheduler is None:
        return None
    settings: dict[str, Any] = training.scheduler.model_dump()
    cls = getattr(torch.optim.lr_scheduler, settings.pop("name"))
    scheduler: torch.optim.lr_scheduler.LRScheduler = cls(optimizer, **settings)
    return scheduler


def _not_finite(epoch: Epoch) -> bool:
    return not (math.isfinite(epoch.train_loss) and math.isfinite(epoch.test_loss))


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _reset_peak_memory(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak_memory_gib(device: torch.device) -> float:
    """Return the most memory that tensors held on a GPU, or that the process had in all on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
