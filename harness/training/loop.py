"""The training of one trial, from its weights' initialisation to its last evaluation."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from harness.record import EngineName, Epoch
from harness.suite import Trial
from harness.training import checkpoint
from harness.training.batches import ResidentDataset
from harness.training.engine import Engine, engine_for
from harness.training.layers import Cut, swap_layers
from harness.training.optimizer import Scheduler, optimizer_for, scheduler_for
from harness.training.precision import PRECISIONS
from harness.training.probe import has_unused_parameters, initialised
from harness.training.step import Step
from harness.training.world import World


@dataclass
class Watcher:
    """Is told how far a trial is: after each step or evaluation batch, and after each epoch."""

    on_step: Callable[[int, Tensor], None] = lambda step, loss: None
    on_batch: Callable[[], None] = lambda: None
    on_epoch: Callable[[Epoch], None] = lambda epoch: None
    on_note: Callable[[str], None] = lambda text: None


@dataclass(frozen=True)
class Outcome:
    """What came out of a trial."""

    status: Literal["done", "diverged"]
    epochs: list[Epoch]
    parameters: int
    replaced_layers: dict[str, int]
    peak_memory_gib: float
    engine: EngineName
    model: nn.Module


@dataclass
class Trainee:
    """A model that was taken over, with what trains it."""

    plain: nn.Module
    step: Step
    engine: Engine
    scheduler: Scheduler | None
    replaced_layers: dict[str, int]
    parameters: int = field(init=False)

    def __post_init__(self) -> None:
        self.parameters = sum(each.numel() for each in self.plain.parameters() if each.requires_grad)


def prepare(
    trial: Trial,
    data: ResidentDataset,
    world: World,
    engine: EngineName | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Trainee:
    """Build the trial's model, take it over and make what trains it."""
    settings, training = trial.settings, trial.settings.training
    plain = initialised(settings.model, trial.seed, data.image_shape, data.num_classes)
    unused = has_unused_parameters(settings, data.image_shape, data.num_classes)
    cut, precision = Cut(world, trial.seed), PRECISIONS[training.precision]
    replaced = swap_layers(plain, cut)
    plain.to(device=world.device, dtype=precision.dtype)
    optimizer = optimizer_for(training, plain.parameters())
    wrapped = world.wrap(plain, find_unused_parameters=unused)
    step = Step(wrapped, optimizer, data, precision, training.loss.label_smoothing, cut)
    executed = engine_for(step, engine, tell, has_unused=unused)
    return Trainee(plain, step, executed, scheduler_for(training, optimizer), replaced)


def train(
    trial: Trial,
    data: ResidentDataset,
    world: World,
    checkpoint_path: Path,
    watcher: Watcher | None = None,
    engine: EngineName | None = None,
) -> Outcome:
    """Train the trial, going on from its checkpoint where there is one, and leave one after each epoch."""
    course = step_by_step(trial, data, world, checkpoint_path, watcher or Watcher(), engine)
    while True:
        try:
            next(course)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome


def step_by_step(
    trial: Trial,
    data: ResidentDataset,
    world: World,
    checkpoint_path: Path,
    watcher: Watcher,
    engine: EngineName | None,
) -> Generator[None, None, Outcome]:
    """Train as `train` does, and yield after each step and batch, so that several trials can take turns."""
    training = trial.settings.training
    _reset_peak_memory(world.device)
    trainee = prepare(trial, data, world, engine, watcher.on_note)
    resumable = (trainee.plain, trainee.step.optimizer, trainee.scheduler)
    history = checkpoint.resume(checkpoint_path, trial.digest, world, *resumable)
    diverged = any(_not_finite(epoch) for epoch in history)
    while len(history) < training.epochs and not diverged:
        epoch = yield from _epoch(trial, data, trainee, len(history) + 1, watcher)
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
        engine=trainee.engine.name,
        model=trainee.plain,
    )


def _epoch(
    trial: Trial, data: ResidentDataset, trainee: Trainee, number: int, watcher: Watcher
) -> Generator[None, None, Epoch]:
    step, engine, batch_size = trainee.step, trainee.engine, trial.settings.training.batch_size
    world = step.cut.world
    lr = float(step.optimizer.param_groups[0]["lr"])
    first_step = (number - 1) * math.ceil(len(data.train) / batch_size)
    started = _now(world.device)
    step.model.train()
    step.cut.step.fill_(first_step)
    shares = data.train.train_shares(trial.seed, number, batch_size, world)
    for count, share in enumerate(shares, first_step):
        watcher.on_step(count, engine.train(share))
        yield
    train_loss, train_accuracy = step.totals.averages(world)
    trained = _now(world.device)
    if trainee.scheduler is not None:
        trainee.scheduler.step()
    step.model.eval()
    for share in data.test.eval_shares(world):
        engine.evaluate(share)
        watcher.on_batch()
        yield
    test_loss, test_accuracy = step.totals.averages(world)
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


def _not_finite(epoch: Epoch) -> bool:
    return not (math.isfinite(epoch.train_loss) and math.isfinite(epoch.test_loss))


def _now(device: torch.device) -> float:
    """Return the time when the trial's own work is done; other trials on the device may go on."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()
    return time.perf_counter()


def _reset_peak_memory(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _peak_memory_gib(device: torch.device) -> float:
    """Return the most that tensors of all its trials held on a GPU, or that the process had on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
