"""Ranks of one process, a thread each, that share every global batch as real ones do; for the model check."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

from harness.training.distributed import ProcessGroup

_Found = TypeVar("_Found")
_TIMEOUT_SECONDS = 60.0


class Meeting:
    """Exchange of tensors between simulated ranks; it raises if one of them has ended or failed."""

    def __init__(self, size: int) -> None:
        self._barrier = threading.Barrier(size)
        self._parts: list[Tensor | None] = [None] * size

    def exchange(self, rank: int, part: Tensor | None) -> list[Tensor]:
        """Return the parts of all ranks; None means that this rank has ended."""
        self._parts[rank] = part if part is None else part.detach().clone()
        self._barrier.wait(_TIMEOUT_SECONDS)
        parts = list(self._parts)
        self._barrier.wait(_TIMEOUT_SECONDS)
        met = [each for each in parts if each is not None]
        if met and (len(met) < len(parts) or len({each.shape for each in met}) > 1):
            raise RuntimeError("the ranks do not run the same operations of the model")
        return met

    def abort(self) -> None:
        """End the wait of all ranks."""
        self._barrier.abort()


@dataclass(frozen=True)
class SimulatedRank(ProcessGroup):
    """One of several ranks in this process."""

    meeting: Meeting = field(default_factory=lambda: Meeting(1))

    def sum_(self, tensor: Tensor) -> Tensor:
        """Sum the tensor over the ranks, in place."""
        first, *others = self.meeting.exchange(self.rank, tensor)
        tensor.copy_(first)
        for each in others:  # one by one: of a large model's gradients there is no room for many
            tensor.add_(each)
        return tensor

    def gather(self, tensor: Tensor) -> Tensor:
        """Return every rank's tensor (n,) as one of (world_size, n), in the order of ranks."""
        return torch.stack(self.meeting.exchange(self.rank, tensor))


def simulate(size: int, work: Callable[[SimulatedRank], _Found]) -> list[_Found]:
    """Call `work(rank)` in a thread for each rank; return what they found, or raise the first error."""
    meeting = Meeting(size)
    found: dict[int, _Found] = {}
    errors: list[BaseException] = []

    def run(rank: int) -> None:
        torch.set_num_threads(1)
        try:
            found[rank] = work(SimulatedRank(rank, size, torch.device("cpu"), None, meeting))
            meeting.exchange(rank, None)
        except threading.BrokenBarrierError:
            return  # another rank's error is the cause
        except BaseException as error:
            errors.append(error)
            meeting.abort()

    threads = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    if len(found) < size:
        raise RuntimeError("the ranks do not run the same operations of the model")
    return [found[rank] for rank in range(size)]
