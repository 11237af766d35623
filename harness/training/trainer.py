"""Training of one trial, in `Trainer.run`: load its state; for each epoch take the steps, evaluate, save."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from torch import nn

from harness.config.suite import Trial
from harness.results.epoch_rule import reported, stops
from harness.results.record import EngineName, Epoch
from harness.training.callbacks import Callbacks
from harness.training.checkpoint import Checkpoints
from harness.training.checkpoint_policy import CheckpointPolicy
from harness.training.dataloader import ResidentDataset, Share
from harness.training.device import peak_memory_gib, reset_peak_memory
from harness.training.distributed import ProcessGroup
from harness.training.kept_state import copied
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
        self.trial, self.training, self.data = trial, trial.settings.training, data
        self.prepared, self.callbacks = prepared, callbacks
        self.state, self.step, self.world = prepared.state, prepared.step, prepared.step.shard.world
        self.checkpoints = Checkpoints(places.paths, f"{trial.digest} {places.code}")
        save = partial(_save, self.checkpoints, self.state, callbacks)
        self.policy = CheckpointPolicy(self.world, places.every_seconds, callbacks.on_boundary, save)
        self.started = 0.0
        self.metrics: dict[str, float] = {}  # of the parts that have been evaluated

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
            with self.average_in_model():  # what is saved meanwhile is the state before the evaluation
                for number, share in enumerate(self.norm_shares()):
                    self.estimate_norms(number, share)
                    if self.policy.leaves():
                        return None
                    yield
                for part, number, share in self.test_shares():
                    self.evaluate(part, number, share)
                    if self.policy.leaves():
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
        history, training = self.state.history, self.training
        return self.state.has_diverged or len(history) == training.epochs or stops(training, history)

    @property
    def next_step(self) -> int:
        """Return the number of the next step, from 0 over the whole trial."""
        return len(self.state.history) * self.prepared.steps_per_epoch + self.state.steps

    def train_shares(self) -> Iterator[Share]:
        """Begin to train an epoch, or the rest of it; return this rank's shares of its batches."""
        self.started = self.now() - self.state.seconds
        self.step.model.train()
        self.step.shard.begin(self.next_step)
        self.step.totals.start(self.state.sums_of(self.world))
        return self._epoch_shares(self.state.steps)

    def _epoch_shares(self, first_step: int = 0) -> Iterator[Share]:
        epoch, batch_size = len(self.state.history) + 1, self.training.batch_size
        return self.data.train.train_shares(
            self.trial.seed, epoch, batch_size, self.world, first_step, whole=self.step.needs_whole_batches
        )

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

    def average_in_model(self) -> AbstractContextManager[None]:
        """Have the weights' average in the model, if there is one, until the context ends."""
        average = self.state.average
        if average is None:
            return nullcontext()
        average.update_after(len(self.state.history) + 1)
        return average.in_model()

    def norm_shares(self) -> Iterator[Share]:
        """Return this rank's shares of the batches on which an average's batch norms are estimated."""
        average = self.state.average
        return self._epoch_shares() if average and average.has_norms else iter(())

    def estimate_norms(self, number: int, share: Share) -> None:
        """Estimate the batch norms of an average on one more batch."""
        self.prepared.seed_draws("norms", len(self.state.history), number)
        self.step.estimate_norms(share, number)
        self.callbacks.on_batch()

    def test_shares(self) -> Iterator[tuple[str, int, Share]]:
        """Yield this rank's shares of the batches to evaluate, each with its part of the data and number."""
        self.step.model.eval()
        if self.prepared.may_draw:  # its buffers may follow the rows that a rank has
            self.world.share_tensors(list(self.state.model.buffers()))
        for part, split in self.data.evaluated.items():
            self.step.totals.start()
            for number, share in enumerate(split.eval_shares(self.world)):
                yield part, number, share
            self.metrics |= averages(self.step.totals.of_ranks(self.world), part)

    def evaluate(self, part: str, number: int, share: Share) -> None:
        """Evaluate one batch of a part of the data."""
        self.prepared.seed_draws(part, len(self.state.history), number)
        self.prepared.engine.evaluate(share, part)
        self.callbacks.on_batch()

    def end_epoch(self) -> None:
        """Add the epoch's metrics, over the samples of all ranks, to the state."""
        state = self.state
        epoch = Epoch.of(
            averages(state.sums, "train") | self.metrics,
            epoch=len(state.history) + 1,
            lr=self.prepared.lr.at(self.next_step - 1),
            train_seconds=state.seconds,
            eval_seconds=self.now() - self.started - state.seconds,
        )
        state.end_epoch(epoch)
        is_reported = reported(self.training, state.history) == len(state.history) - 1
        if is_reported and (state.average or self.training.epoch != "last"):
            state.kept = copied(state.model)

    def leaves_after_epoch(self) -> bool:
        """Save the state and tell of the epoch; return whether all ranks stop before the trial's end."""
        leaves = self.policy.leaves_after_epoch(is_last=self.is_over)
        if not self.policy.is_dropped:
            self.callbacks.on_epoch(self.state.history[-1])
        return leaves and (self.policy.is_dropped or not self.is_over)

    def outcome(self) -> Outcome:
        """Return the result of the whole trial."""
        prepared = self.prepared
        if self.state.kept is not None:
            self.state.model.load_state_dict(self.state.kept)
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
