"""Trials on the card, from beginning to end, with all that they said."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from harness.config.suite import Trial
from harness.results.record import EngineName
from harness.training.callbacks import Callbacks
from harness.training.dataloader import ResidentDataset
from harness.training.distributed import ProcessGroup
from harness.training.streams import take_turns
from harness.training.trainer import Outcome, step_by_step
from tests.support.calls import Calls
from tests.support.trials import places


@dataclass(frozen=True)
class Trained:
    """What came out of a trial, None where it was left; what it told and what warned meanwhile."""

    outcome: Outcome | None
    notes: list[str]
    warnings: list[str]

    @property
    def engine(self) -> str:
        """Return how its last steps were executed."""
        return self.outcome.engine if self.outcome else "none"

    @property
    def figures(self) -> list[float]:
        """Return the losses and accuracies of all epochs."""
        epochs = self.outcome.epochs if self.outcome else []
        return [value for each in epochs for value in each.reproducible.values()]

    @property
    def weights(self) -> list[Tensor]:
        """Return all that the model holds."""
        return [each.cpu() for each in self.outcome.model.state_dict().values()] if self.outcome else []

    def is_bitwise(self, other: Trained) -> bool:
        """Tell whether both came to the same bits."""
        pairs = zip(self.weights, other.weights, strict=True)
        return (
            bool(self.weights) and self.figures == other.figures and all(torch.equal(*pair) for pair in pairs)
        )

    @property
    def losses(self) -> list[float]:
        """Return the losses of all epochs: no sample near a border changes them by leaps."""
        epochs = self.outcome.epochs if self.outcome else []
        return [value for each in epochs for value in (each.train_loss, each.test_loss)]

    def difference(self, other: Trained, *, of_losses: bool = False) -> float:
        """Return how far a figure, or a loss, is from the other's, relatively, at most."""
        mine, others = (self.losses, other.losses) if of_losses else (self.figures, other.figures)
        pairs = zip(mine, others, strict=True)
        return max(abs(found - value) / max(abs(value), 1e-300) for found, value in pairs)


def train_all(
    trials: Sequence[Trial], data: ResidentDataset, world: ProcessGroup, engine: EngineName | None
) -> list[Trained]:
    """Train the trials at once, each on a stream of its own."""
    outcomes: dict[int, Outcome | None] = {}
    notes: list[list[str]] = [[] for _ in trials]
    with TemporaryDirectory() as folder, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")

        def course(number: int, trial: Trial) -> Generator[None, None, None]:
            callbacks = Calls(on_note=notes[number].append)
            where = places(Path(folder) / str(number))
            outcomes[number] = yield from step_by_step(trial, data, world, where, callbacks, engine)

        take_turns((course(*each) for each in enumerate(trials)), lambda: len(trials), world.device)
    texts = sorted({str(each.message).partition("\n")[0] for each in caught})
    return [Trained(outcomes[number], notes[number], texts) for number in range(len(trials))]


def train(
    trial: Trial,
    data: ResidentDataset,
    world: ProcessGroup,
    engine: EngineName | None,
    path: Path | None = None,
    callbacks: Callbacks | None = None,
) -> Trained:
    """Train one trial, going on from the checkpoints beside `path` where there are any."""
    if path is None or callbacks is None:
        return train_all([trial], data, world, engine)[0]
    outcomes: list[Outcome | None] = []

    def course() -> Generator[None, None, None]:
        outcomes.append((yield from step_by_step(trial, data, world, places(path), callbacks, engine)))

    take_turns(iter([course()]), lambda: 1, world.device)
    return Trained(outcomes[0], [], [])
