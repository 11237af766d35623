"""State of a model that is put back after passes, or copied to be kept."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn


def copied(model: nn.Module) -> dict[str, Any]:
    """Return a copy of the model's state."""
    return copy.deepcopy(model.state_dict())


@contextlib.contextmanager
def kept_state(model: nn.Module) -> Iterator[dict[str, Any]]:
    """Put the model's weights and buffers back at the end, in place; yield a copy of its state."""
    state = copied(model)
    buffers = [buffer.clone() for buffer in model.buffers()]
    try:
        yield state
    finally:
        model.load_state_dict(state)
        with torch.no_grad():
            for buffer, value in zip(model.buffers(), buffers, strict=True):  # some are in no state
                buffer.copy_(value)
