"""Training of one trial: initialise or resume; for each epoch take the steps, evaluate, save."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from torch import nn

from harness.config.suite import Trial
from harness.results.record import EngineName, Epoch
from harness.training.callbacks import Callbacks
from harness.training.checkpoint import Checkpoints, Progress
from harness.training.checkpoint_policy import CheckpointPolicy
from harness.training.dataloader import ResidentDataset
from harness.training.device import peak_memory_gib, reset_peak_memory
from harness.training.distributed import ProcessGroup
from harness.training.prepared_trial import PreparedTrial, prepare
from harness.training.step import averages


@dataclass(frozen=True)
class Outcome:
    """Result of a trial that was trained to its end."""

    status: Literal["done", "diverged"]
    epochs: list[Epoch]
    parameters: int
    replaced_layers: dict[str, int]
    has_fixed_weights: bool
    peak_memory_gib: float
    engine: EngineName
    model: nn.Module
    has_broken_capture: bool = False


@dataclass(frozen=True)
class Places:
    """Paths of a trial's two checkpoints, and the seconds between saves within an epoch.

    A checkpoint of other code (by its hash) is not resumed from.
    """

    paths: tuple[Path, Path]
    code: str = ""
    every_seconds: float = 300.0


def step_by_step(
    trial: Trial,
    data: ResidentDataset,
    world: ProcessGroup,
    places: Places,
    callbacks: Callbacks,
    engine: EngineName | None,
) -> Generator[None, None, Outcome | None]:
    """Train the trial, from its newest checkpoint if it has one; return None if stopped before its end.

    Yields after each step and batch, so that several trials can take turns.
    """
    reset_peak_memory(world.device)
    prepared = prepare(trial, data, world, engine, callbacks.on_note)
    with closing(prepared.engine):  # before another trial has this place's stream
        return (yield from _epochs(trial, data, prepared, places, callbacks))


def _epochs(
    trial: Trial, data: ResidentDataset, prepared: PreparedTrial, places: Places, callbacks: Callbacks
) -> Generator[None, None, Outcome | None]:
    """Train the remaining epochs of a trial; return None if it was stopped before its end."""
    training, world = trial.settings.training, prepared.step.shard.world
    digest = f"{trial.digest} {places.code}"
    kept = Checkpoints(places.paths, digest, prepared.plain, prepared.step.optimizer, prepared.lr)
    progress = kept.resume(world, callbacks.on_note)
    callbacks.on_begin(progress.history)

    def save(progress: Progress) -> None:
        with callbacks.saving():
            kept.save(progress)

    policy = CheckpointPolicy(world, places.every_seconds, callbacks.on_boundary, save)
    diverged = any(_not_finite(epoch) for epoch in progress.history)
    while len(progress.history) < training.epochs and not diverged:
        epoch = yield from _epoch(trial, data, prepared, progress, policy, callbacks)
        if epoch is None:
            return None
        progress = Progress([*progress.history, epoch])
        diverged = _not_finite(epoch)
        is_last = diverged or len(progress.history) == training.epochs
        leaves = policy.leaves_after(progress)
        if not policy.is_dropped:
            callbacks.on_epoch(epoch)
        if leaves and (policy.is_dropped or not is_last):
            return None
    return Outcome(
        status="diverged" if diverged else "done",
        epochs=progress.history,
        parameters=prepared.parameters,
        replaced_layers=prepared.replaced_layers,
        has_fixed_weights=prepared.facts.has_fixed_weights,
        peak_memory_gib=peak_memory_gib(world.device),
        engine=prepared.engine.name,
        model=prepared.plain,
        has_broken_capture=prepared.engine.has_broken,
    )


def _epoch(
    trial: Trial,
    data: ResidentDataset,
    prepared: PreparedTrial,
    progress: Progress,
    policy: CheckpointPolicy,
    callbacks: Callbacks,
) -> Generator[None, None, Epoch | None]:
    """Train and evaluate the rest of an epoch; return None if the ranks stop before its end."""
    lr, world = prepared.lr.value, prepared.step.shard.world
    started = _now(world) - progress.seconds - policy.seconds

    def here(steps: int) -> Progress:
        sums = prepared.step.totals.of_ranks(world)
        return Progress(progress.history, steps, sums, _now(world) - policy.seconds - started)

    trained = yield from _train(trial, data, prepared, progress, policy, callbacks, here)
    if trained is None or not (yield from _evaluate(data, prepared, trained, policy, callbacks)):
        return None
    tested = here(trained.steps)
    prepared.lr.advance()
    return Epoch.of(
        averages(trained.sums, "train") | averages(tested.sums, "test"),
        epoch=len(progress.history) + 1,
        lr=lr,
        train_seconds=trained.seconds,
        eval_seconds=tested.seconds - trained.seconds,
    )


def _train(
    trial: Trial,
    data: ResidentDataset,
    prepared: PreparedTrial,
    progress: Progress,
    policy: CheckpointPolicy,
    callbacks: Callbacks,
    here: Callable[[int], Progress],
) -> Generator[None, None, Progress | None]:
    """Take the remaining steps of an epoch; return the progress after them, None if the ranks stop before."""
    step, batch_size = prepared.step, trial.settings.training.batch_size
    world, number, steps = step.shard.world, len(progress.history) + 1, progress.steps
    first_step = (number - 1) * math.ceil(len(data.train) / batch_size)
    step.model.train()
    step.shard.step.fill_(first_step + steps)
    step.totals.start(progress.sums_of(world))
    shares = data.train.train_shares(trial.seed, number, batch_size, world)
    for share in itertools.islice(shares, steps, None):
        prepared.seed_draws("train", first_step + steps)
        callbacks.on_step(first_step + steps, prepared.engine.train(share))
        steps += 1
        if policy.leaves(partial(here, steps)):
            return None
        yield
    return here(steps)


def _evaluate(
    data: ResidentDataset,
    prepared: PreparedTrial,
    trained: Progress,
    policy: CheckpointPolicy,
    callbacks: Callbacks,
) -> Generator[None, None, bool]:
    """Evaluate the test set; return False if the ranks stop before its end.

    A checkpoint that is saved meanwhile holds the state before the evaluation.
    """
    prepared.step.totals.start()
    prepared.step.model.eval()
    if prepared.may_draw:  # its buffers may follow the rows that a rank has
        prepared.step.shard.world.share_tensors(list(prepared.plain.buffers()))
    for number, share in enumerate(data.test.eval_shares(prepared.step.shard.world)):
        prepared.seed_draws("test", len(trained.history), number)
        prepared.engine.evaluate(share)
        callbacks.on_batch()
        if policy.leaves(lambda: trained):
            return False
        yield
    return True


def _not_finite(epoch: Epoch) -> bool:
    return not (math.isfinite(epoch.train_loss) and math.isfinite(epoch.test_loss))


def _now(world: ProcessGroup) -> float:
    """Return the time when the trial's own work is done."""
    world.wait_for_stream()
    return time.perf_counter()
