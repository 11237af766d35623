"""Training of one trial: load its state; for each epoch take the steps, evaluate, save.

The loop is `Trainer.run`. What is called meanwhile is a Protocol, `callbacks.Callbacks`; all that is saved
is a `trainer_state.TrainerState`.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from torch import nn

from harness.config.suite import Trial
from harness.results.record import EngineName, Epoch
from harness.training.callbacks import Callbacks
from harness.training.checkpoint import Checkpoints
from harness.training.checkpoint_policy import CheckpointPolicy
from harness.training.dataloader import ResidentDataset, Share
from harness.training.device import peak_memory_gib, reset_peak_memory
from harness.training.distributed import ProcessGroup
from harness.training.prepared_trial import PreparedTrial, prepare
from harness.training.step import averages
from harness.training.trainer_state import TrainerState


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
        return (yield from Trainer(trial, data, prepared, places, callbacks).run())


class Trainer:
    """Trainer of one trial in one process group: every rank runs the same loop."""

    def __init__(
        self,
        trial: Trial,
        data: ResidentDataset,
        prepared: PreparedTrial,
        places: Places,
        callbacks: Callbacks,
    ) -> None:
        self.trial, self.data, self.prepared, self.callbacks = trial, data, prepared, callbacks
        self.state, self.step, self.world = prepared.state, prepared.step, prepared.step.shard.world
        self.checkpoints = Checkpoints(places.paths, f"{trial.digest} {places.code}")
        save = partial(_save, self.checkpoints, self.state, callbacks)
        self.policy = CheckpointPolicy(self.world, places.every_seconds, callbacks.on_boundary, save)
        self.started = 0.0

    def run(self) -> Generator[None, None, Outcome | None]:
        """Train the remaining epochs; return None if all ranks stop before the trial's end."""
        self.load()
        while not self.is_over:
            for share in self.train_shares():
                self.take_step(share)
                if self.policy.leaves(self.update):
                    return None
                yield
            self.update()
            for number, share in enumerate(self.test_shares()):
                self.evaluate(number, share)
                if self.policy.leaves():  # what is saved meanwhile is the state before the evaluation
                    return None
                yield
            self.end_epoch()
            if self.leaves_after_epoch():
                return None
        return self.outcome()

    def load(self) -> None:
        """Go on from the newest checkpoint."""
        self.checkpoints.resume(self.state, self.world, self.callbacks.on_note)
        self.callbacks.on_begin(self.state.history)

    @property
    def is_over(self) -> bool:
        """Tell whether the trial is done or has diverged."""
        return self.state.has_diverged or len(self.state.history) == self.trial.settings.training.epochs

    @property
    def next_step(self) -> int:
        """Return the number of the next step, from 0 over the whole trial."""
        return len(self.state.history) * self.prepared.steps_per_epoch + self.state.steps

    def train_shares(self) -> Iterator[Share]:
        """Begin to train an epoch, or the rest of it; return this rank's shares of its batches."""
        batch_size, epoch = self.trial.settings.training.batch_size, len(self.state.history) + 1
        self.started = self.now() - self.state.seconds
        self.step.model.train()
        self.step.shard.step.fill_(self.next_step)
        self.step.totals.start(self.state.sums_of(self.world))
        shares = self.data.train.train_shares(self.trial.seed, epoch, batch_size, self.world)
        return itertools.islice(shares, self.state.steps, None)

    def take_step(self, share: Share) -> None:
        """Take one training step."""
        number = self.next_step
        self.prepared.seed_draws("train", number)
        self.prepared.lr.set(number)
        loss = self.prepared.engine.train(share)
        self.state.steps += 1
        self.callbacks.on_step(number, loss)

    def update(self) -> None:
        """Bring the state's sums and seconds up to date; all ranks do so together."""
        self.state.sums = self.step.totals.of_ranks(self.world)
        self.state.seconds = self.now() - self.started

    def test_shares(self) -> Iterator[Share]:
        """Begin to evaluate the test set; return this rank's shares of its batches."""
        self.step.totals.start()
        self.step.model.eval()
        if self.prepared.may_draw:  # its buffers may follow the rows that a rank has
            self.world.share_tensors(list(self.state.model.buffers()))
        return self.data.test.eval_shares(self.world)

    def evaluate(self, number: int, share: Share) -> None:
        """Evaluate one batch of the test set."""
        self.prepared.seed_draws("test", len(self.state.history), number)
        self.prepared.engine.evaluate(share)
        self.callbacks.on_batch()

    def end_epoch(self) -> None:
        """Add the epoch's metrics, over the samples of all ranks, to the state."""
        state, test_sums = self.state, self.step.totals.of_ranks(self.world)
        epoch = Epoch.of(
            averages(state.sums, "train") | averages(test_sums, "test"),
            epoch=len(state.history) + 1,
            lr=self.prepared.lr.at(self.next_step - 1),
            train_seconds=state.seconds,
            eval_seconds=self.now() - self.started - state.seconds,
        )
        state.end_epoch(epoch)

    def leaves_after_epoch(self) -> bool:
        """Save the state and tell of the epoch; return whether all ranks stop before the trial's end."""
        leaves = self.policy.leaves_after_epoch()
        if not self.policy.is_dropped:
            self.callbacks.on_epoch(self.state.history[-1])
        return leaves and (self.policy.is_dropped or not self.is_over)

    def outcome(self) -> Outcome:
        """Return the result of the whole trial."""
        prepared = self.prepared
        return Outcome(
            status="diverged" if self.state.has_diverged else "done",
            epochs=self.state.history,
            parameters=prepared.parameters,
            replaced_layers=prepared.replaced_layers,
            has_fixed_weights=prepared.facts.has_fixed_weights,
            peak_memory_gib=peak_memory_gib(self.world.device),
            engine=prepared.engine.name,
            model=self.state.model,
            has_broken_capture=prepared.engine.has_broken,
        )

    def now(self) -> float:
        """Return the time when the trial's own work is done, without the time that saving has taken."""
        self.world.wait_for_stream()
        return time.perf_counter() - self.policy.seconds


def _save(checkpoints: Checkpoints, state: TrainerState, callbacks: Callbacks) -> None:
    with callbacks.saving():
        checkpoints.save(state)
