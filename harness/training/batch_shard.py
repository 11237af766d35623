"""A rank's shard of the global batch, which torch's functions look up while a model's forward runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from harness.training.distributed import ProcessGroup
from harness.training.rng import derive, positions, step_key

_TOKENS = 2**62


@dataclass
class BatchShard:
    """A rank's rows of the global batch of the current step; the training step sets it.

    `step` is an int64 scalar on the device. A rank without rows (`is_empty`) runs one that counts nowhere.
    `layer` names the dropout that is being called, if it is a module. If dropouts may be recomputed
    (torch.utils.checkpoint) `expects_recomputation` is set; `has_recomputed` tells whether one was. `used`
    lists the hashed positions that the pass has asked for.
    """

    world: ProcessGroup
    seed: int
    first_row: int = 0
    rows: int = 0
    size: int = 0
    is_empty: bool = False
    layer: str = ""
    expects_recomputation: bool = False
    has_recomputed: bool = False
    step: Tensor = field(init=False)
    used: list[Tensor] = field(init=False, default_factory=list)
    _calls: dict[str, dict[int, int]] = field(init=False, default_factory=dict)
    _number: int = field(init=False, default=0)
    _key: Tensor = field(init=False)
    _uses_key: bool = field(init=False, default=False)
    _hashed: dict[tuple[str, int, int, int, int], Tensor] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.step = torch.zeros((), dtype=torch.int64, device=self.world.device)
        self._key = torch.zeros(1, dtype=torch.int32, device=self.world.device)

    def begin(self, number: int) -> None:
        """Move on to a step, by its number from 0 over the whole trial; never within a captured graph."""
        self._number = number
        self.step.fill_(number)
        if self._uses_key:
            self._key.fill_(step_key(number))

    def advance(self) -> None:
        """Move on to the next step."""
        self.begin(self._number + 1)

    def set(self, first_row: int, rows: int, size: int) -> None:
        """Move on to another batch: `rows` rows, from `first_row` on, of a global batch of `size`."""
        self.first_row, self.rows, self.size, self.is_empty = first_row, max(rows, 1), size, rows == 0
        self._calls.clear()
        self.used.clear()

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Let torch's functions use this shard, in torch's own threads too, until the context ends."""
        _Active.shard, before = self, _Active.shard
        try:
            yield
        finally:
            _Active.shard = before

    @contextlib.contextmanager
    def active_in_thread(self) -> Iterator[None]:
        """Let this thread only, which simulates a rank, use this shard."""
        _of_thread.shard = self
        try:
            yield
        finally:
            _of_thread.shard = None

    def hashed_positions(self, x: Tensor, features: int) -> Tensor:
        """Return int32 (rows, features) that identify a layer's call, on x, and places in the global batch.

        They are computed once for each different shard.
        """
        place = (self.layer, self._call(x), self.first_row, self.rows, features)
        if place not in self._hashed:
            key = derive(self.seed, "dropout", *place[:2])
            self._hashed[place] = positions(key, *place[2:], self.world.device)
        self.used.append(self._hashed[place])
        return self._hashed[place]

    def step_key(self) -> Tensor:
        """Return the hash of the step; int32 (1,), which every step changes in place."""
        if not self._uses_key:
            self._uses_key = True
            self._key.fill_(step_key(self._number))
        return self._key

    def _call(self, x: Tensor) -> int:
        """Return the number of the layer's call in this pass; a recomputed call has the number of the first.

        A recomputed call is recognised by its random draw, as torch restores the random state for it. A
        thread that simulates a rank has no random state of its own: there the call is recognised by its
        input.
        """
        calls = self._calls.setdefault(self.layer, {})
        token = len(calls)
        if self.expects_recomputation:
            is_simulated = getattr(_of_thread, "shard", None) is self
            token = (
                hash(x.detach().double().numpy().tobytes())
                if is_simulated
                else int(torch.randint(_TOKENS, ()))
            )
        self.has_recomputed |= token in calls
        return calls.setdefault(token, len(calls))


@dataclass
class TracedShard(BatchShard):
    """A shard for a compiled forward, which gets from here, as tensors, all that changes from pass to pass.

    `hashed` holds the hashed positions of its dropouts, in the order of their calls.
    """

    hashed: list[Tensor] = field(default_factory=list)
    _called: int = field(init=False, default=0)

    @contextlib.contextmanager
    def standing_in(self, shard: BatchShard, hashed: list[Tensor]) -> Iterator[None]:
        """Let torch's functions use this shard in place of the one that is active."""
        self.rows, self.hashed, self._called = shard.rows, hashed, 0
        self._key, self._uses_key = shard.step_key(), True
        with self.active():
            yield

    def hashed_positions(self, x: Tensor, features: int) -> Tensor:
        """Return the hashed positions of the next call."""
        self._called += 1
        return self.hashed[self._called - 1]


class _Active:
    shard: BatchShard | None = None


_of_thread = threading.local()


def active_shard() -> BatchShard | None:
    """Return the shard of the current forward or backward pass, None outside of training."""
    return getattr(_of_thread, "shard", None) or _Active.shard
