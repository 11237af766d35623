"""A trial's state after any step, as a file to go on from with any number of ranks; the last two are kept."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from harness.files import write_whole
from harness.record import Epoch
from harness.training.optimizer import Scheduler, load_state
from harness.training.world import World

Sums = list[list[float]]


@dataclass(frozen=True)
class Progress:
    """How far a trial is: the epochs behind it, and what there is of the next one.

    `steps` are those taken in it, `sums` each rank's totals over them, `seconds` the time that they took.
    """

    history: list[Epoch] = field(default_factory=list)
    steps: int = 0
    sums: Sums = field(default_factory=list)
    seconds: float = 0.0

    @property
    def place(self) -> list[int]:
        """Return what orders the states of a trial."""
        return [len(self.history), self.steps]

    def sums_of(self, world: World) -> list[float] | None:
        """Return what this rank has summed up; all of it is the owner's where the ranks are others now."""
        if len(self.sums) == world.world_size:
            return self.sums[world.rank]
        return [sum(column) for column in zip(*self.sums, strict=True)] if world.owns and self.sums else None


@dataclass
class Checkpoints:
    """The two files of one trial, written in turn: the older one goes when the newer is safely there."""

    paths: tuple[Path, Path]
    digest: str
    model: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: Scheduler | None
    _next: int = 0

    def save(self, progress: Progress) -> None:
        """Write the state whole; raise StoreError where it cannot be written."""
        state = {
            "digest": self.digest,
            "history": [vars(epoch) for epoch in progress.history],
            "steps": progress.steps,
            "sums": progress.sums,
            "seconds": progress.seconds,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
        }
        write_whole(self.paths[self._next], _bytes(state))
        self._next = 1 - self._next

    def resume(self, world: World, tell: Callable[[str], None]) -> Progress:
        """Load the newest state and return how far it is; where there is none, from the start.

        `tell` is told of a file that cannot be used. Raise RuntimeError where ranks see other files.
        """
        loaded = [_load(path, self.digest, tell) for path in self.paths]
        states = {slot: (each, _progress(each)) for slot, each in enumerate(loaded) if each is not None}
        newest = max(states, key=lambda slot: states[slot][1].place, default=None)
        state, progress = states[newest] if newest is not None else (None, Progress())
        seen = world.gather(torch.tensor(progress.place, device=world.device)).tolist()
        if any(place != seen[0] for place in seen):
            raise RuntimeError(
                f"{self.paths[0]}: the ranks see {seen} (epochs, steps), expected one folder that all share"
            )
        if state is not None and newest is not None:
            self.model.load_state_dict(state["model"])
            load_state(self.optimizer, state["optimizer"])
            if self.scheduler is not None:
                self.scheduler.load_state_dict(state["scheduler"])
            self._next = 1 - newest
        return progress


def save_weights(path: Path, model: nn.Module) -> None:
    """Write the weights alone, to be loaded with `weights_only=True` into the plain model."""
    write_whole(path, _bytes({key: value.cpu() for key, value in model.state_dict().items()}))


def _load(path: Path, digest: str, tell: Callable[[str], None]) -> dict[str, Any] | None:
    """Return the state in the file, if it is whole and the trial's own; no pickled code is ever run."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["digest"] == digest:
            _progress(state)
            return dict(state)
    except FileNotFoundError:
        return None
    except pickle.UnpicklingError as error:
        tell(f"{path}: refused, it holds more than numbers: {str(error).partition(chr(10))[0]}")
    except Exception as error:  # damaged in any way: an earlier state gives the same numbers
        tell(f"{path}: damaged, not used: {type(error).__name__}")
    else:
        tell(f"{path}: of another trial, not used")
    return None


def _progress(state: dict[str, Any]) -> Progress:
    history = [Epoch(**epoch) for epoch in state["history"]]
    return Progress(history, state["steps"], state["sums"], state["seconds"])


def _bytes(state: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()
