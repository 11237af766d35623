"""Checkpoints: a trial's state after any step, to resume with any number of ranks; the last two are kept."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness.results.atomic_files import write_whole
from harness.results.record import Epoch
from harness.training import checkpoint_file
from harness.training.distributed import ProcessGroup
from harness.training.lr_schedule import LearningRate
from harness.training.optim import load_state

Sums = list[list[float]]


@dataclass(frozen=True)
class Progress:
    """Progress of a trial: its complete epochs, and the part of the next one that is trained.

    `steps` are those taken in that part, `sums` each rank's totals over them, `seconds` the time they took.
    """

    history: list[Epoch] = field(default_factory=list)
    steps: int = 0
    sums: Sums = field(default_factory=list)
    seconds: float = 0.0

    @property
    def place(self) -> list[int]:
        """Return complete epochs and further steps, which order the states of a trial."""
        return [len(self.history), self.steps]

    def sums_of(self, world: ProcessGroup) -> list[float] | None:
        """Return this rank's sums; if the number of ranks has changed, the total on rank 0, else None."""
        if len(self.sums) == world.world_size:
            return self.sums[world.rank]
        return (
            [sum(column) for column in zip(*self.sums, strict=True)]
            if world.is_rank_zero and self.sums
            else None
        )


@dataclass
class Checkpoints:
    """The two checkpoint files of one trial, written in turn: the older stays until the newer is complete."""

    paths: tuple[Path, Path]
    digest: str
    model: nn.Module
    optimizer: torch.optim.Optimizer
    lr: LearningRate
    _next: int = 0

    def save(self, progress: Progress) -> None:
        """Write the state atomically; raise StoreError if it cannot be written."""
        state = {
            "digest": self.digest,
            "history": [vars(epoch) for epoch in progress.history],
            "steps": progress.steps,
            "sums": progress.sums,
            "seconds": progress.seconds,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.lr.state_dict(),
        }
        checkpoint_file.write(self.paths[self._next], _bytes(state))
        self._next = 1 - self._next

    def resume(self, world: ProcessGroup, tell: Callable[[str], None]) -> Progress:
        """Load the newest state that rank 0 finds and return its progress, or the start if there is none.

        `tell` is called for each file that cannot be used.
        """
        newest, content = self._newest(tell) if world.is_rank_zero else (0, b"")
        content = world.share_bytes(content)
        if not content:
            return Progress()
        state = _loaded(content)
        self.model.load_state_dict(state["model"])
        load_state(self.optimizer, state["optimizer"])
        self.lr.load_state_dict(state["scheduler"])
        self._next = 1 - newest
        return _progress(state)

    def _newest(self, tell: Callable[[str], None]) -> tuple[int, bytes]:
        """Return slot and content of the file with the most progress; no content if none can be used."""
        found: list[tuple[list[int], int, bytes]] = []
        for slot, path in enumerate(self.paths):
            try:
                content = checkpoint_file.read(path)
                found.append((self._checked(content).place, slot, content))
            except FileNotFoundError:
                continue
            except pickle.UnpicklingError as error:
                tell(f"{path}: refused, it holds more than numbers: {str(error).partition(chr(10))[0]}")
            except Exception as error:  # damaged in any way: an earlier state gives the same numbers
                tell(f"{path}: not used: {str(error) or type(error).__name__}")
        return max(found)[1:] if found else (0, b"")

    def _checked(self, content: bytes) -> Progress:
        """Return a state's progress; raise any exception if it is incomplete or not this trial's."""
        state = _loaded(content)
        if state["digest"] != self.digest:
            raise ValueError("it is of another trial or of other code")
        if _shapes(state["model"]) != _shapes(self.model.state_dict()):
            raise ValueError("it is of another model")
        return _progress(state)


def save_weights(path: Path, model: nn.Module) -> None:
    """Write only the weights, to be loaded with `weights_only=True` into the plain model."""
    state = model.state_dict()
    write_whole(
        path, _bytes({key: each.cpu() if isinstance(each, Tensor) else each for key, each in state.items()})
    )


def _shapes(state: Mapping[str, Any]) -> dict[str, torch.Size | None]:
    """Return the shapes in a model's state; its extra state (get_extra_state) has none."""
    return {key: each.shape if isinstance(each, Tensor) else None for key, each in state.items()}


def _loaded(content: bytes) -> dict[str, Any]:
    """Load a state; no pickled code is ever run."""
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state


def _progress(state: dict[str, Any]) -> Progress:
    history = [Epoch(**epoch) for epoch in state["history"]]
    return Progress(history, int(state["steps"]), state["sums"], float(state["seconds"]))


def _bytes(state: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()
