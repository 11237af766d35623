"""Checkpoints: a trial's state after any step, to resume with any number of ranks; the last two are kept."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness.results.atomic_files import write_whole
from harness.training import checkpoint_file
from harness.training.distributed import ProcessGroup
from harness.training.trainer_state import TrainerState


@dataclass
class Checkpoints:
    """The two checkpoint files of one trial, written in turn: the older stays until the newer is complete.

    The digest says of which trial, code and data they are.
    """

    paths: tuple[Path, Path]
    digest: str
    _next: int = 0

    def save(self, state: TrainerState) -> None:
        """Write the state atomically; raise StoreError if it cannot be written."""
        content = _bytes({"digest": self.digest, **state.state_dict()})
        checkpoint_file.write(self.paths[self._next], content)
        self._next = 1 - self._next

    def resume(self, state: TrainerState, world: ProcessGroup, tell: Callable[[str], None]) -> None:
        """Load the newest state that rank 0 finds; leave the state as it is, the start, if there is none.

        `tell` is called for each file that cannot be used.
        """
        newest, content = self._newest(state, tell) if world.is_rank_zero else (0, b"")
        content = world.share_bytes(content)
        if content:
            state.load_state_dict(_loaded(content))
            self._next = 1 - newest

    def _newest(self, state: TrainerState, tell: Callable[[str], None]) -> tuple[int, bytes]:
        """Return slot and content of the file with the most progress; no content if none can be used."""
        found: list[tuple[list[int], int, bytes]] = []
        for slot, path in enumerate(self.paths):
            try:
                content = checkpoint_file.read(path)
                found.append((self._place(content, state), slot, content))
            except FileNotFoundError:
                continue
            except pickle.UnpicklingError as error:
                tell(f"{path}: refused, it holds more than numbers: {str(error).partition(chr(10))[0]}")
            except Exception as error:  # damaged in any way: an earlier state gives the same numbers
                tell(f"{path}: not used: {str(error) or type(error).__name__}")
        return max(found)[1:] if found else (0, b"")

    def _place(self, content: bytes, state: TrainerState) -> list[int]:
        """Return how far a saved state is; raise any exception if it is incomplete or not this trial's."""
        saved = _loaded(content)
        if saved["digest"] != self.digest:
            raise ValueError("it is of another trial or of other code")
        if _shapes(saved["model"]) != _shapes(state.model.state_dict()):
            raise ValueError("it is of another model")
        if missing := state.state_dict().keys() - saved.keys():
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        return [len(saved["history"]), int(saved["steps"])]


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


def _bytes(state: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()
