"""A model's pass as a training step makes it, without the step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn

from harness.training.batch_shard import BatchShard
from harness.training.layers import Takeover


@contextlib.contextmanager
def taken_over(model: nn.Module, shard: BatchShard) -> Iterator[None]:
    """Have the model's norms and dropouts see the shard's global batch."""
    with Takeover(model).functions(), shard.active():
        yield
