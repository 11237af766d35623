"""A trial's state after an epoch, as a file to go on from with any number of ranks."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from torch import nn

from harness.record import Epoch
from harness.store import write_whole
from harness.training.optimizer import Scheduler, load_state
from harness.training.world import World


def save(
    path: Path,
    digest: str,
    history: list[Epoch],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: Scheduler | None,
) -> None:
    """Write the state whole; raise StoreError where it cannot be written."""
    state = {
        "digest": digest,
        "history": [vars(epoch) for epoch in history],
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": _plain(scheduler),
    }
    write_whole(path, _bytes(state))


def save_weights(path: Path, model: nn.Module) -> None:
    """Write the weights alone, to be loaded with `weights_only=True` into the plain model."""
    write_whole(path, _bytes({key: value.cpu() for key, value in model.state_dict().items()}))


def resume(
    path: Path,
    digest: str,
    world: World,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scheduler: Scheduler | None,
) -> list[Epoch]:
    """Load the state and return the epochs that are behind it; none where there is nothing to go on from."""
    state = _load(path, digest)
    epochs = len(state["history"]) if state else 0
    seen = world.gather(torch.tensor([float(epochs)], device=world.device)).flatten().tolist()
    if len(set(seen)) > 1:
        raise RuntimeError(f"{path}: the ranks see {seen} epochs in it, expected one folder that all share")
    if state is None:
        return []
    model.load_state_dict(state["model"])
    load_state(optimizer, state["optimizer"])
    if scheduler is not None:
        scheduler.load_state_dict(state["scheduler"])
    return [Epoch(**epoch) for epoch in state["history"]]


def _load(path: Path, digest: str) -> dict[str, Any] | None:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # none there, or damaged in any way: training from the start gives the same numbers
        return None
    return state if isinstance(state, dict) and state.get("digest") == digest else None


def _plain(scheduler: Scheduler | None) -> dict[str, Any] | None:
    return None if scheduler is None else scheduler.state_dict()


def _bytes(state: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()
