"""Meter of one rank: the memory that trials need, and the device's matrix rate."""

from __future__ import annotations

import statistics
import time
import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from harness.config.settings import PrecisionName
from harness.training.precision import PRECISIONS
from harness.training.throughput import TimedTrial, TimedTrials, release

_MATRIX_SIDE = {"cpu": 1024, "cuda": 8192}


class Meter(TimedTrials):
    """Timed trials that also measure the memory they need."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._bytes: dict[int, int] = {}

    def peak_memory_gib(self, width: int) -> float:
        """Return the peak memory, in GiB, of this number of its trials at once."""
        return sum(self._bytes[number] for number in range(width)) / 2**30

    def _made(self, seed: int) -> TimedTrial:
        """Create a trial, warmed up, and record the memory that it adds to what was in use before.

        On a GPU that is what torch's allocator reserves, including graph pools: each stream has blocks of
        its own, so trials at once need the sum. On a CPU it is what tensors hold.
        """
        device = self.world.device
        if device.type == "cuda":
            release(device)
            before = torch.cuda.memory_reserved(device)
            torch.cuda.reset_peak_memory_stats(device)
            member = super()._made(seed)
            self._bytes[seed] = torch.cuda.max_memory_reserved(device) - before
            return member
        with _Held() as held:
            member = self._prepared(seed)
            member.train()
            held.most = held.now
            member.train()
        self._bytes[seed] = held.most
        self._warm_up(member)
        return member


class _Held(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Dispatch mode that counts the bytes of the tensors created inside it, now and at their peak."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now, self.most = 0, 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, operation: Any, types: Any, arguments: Any = (), named: Any = None
    ) -> Any:  # torch's own signature
        out = operation(*arguments, **(named or {}))
        given = {
            each.untyped_storage()._cdata
            for each in tree_leaves((arguments, named))
            if isinstance(each, Tensor)
        }
        for each in tree_leaves(out):
            if isinstance(each, Tensor) and each.untyped_storage()._cdata not in given | self._known:
                self._hold(each.untyped_storage())
        return out

    def _hold(self, storage: torch.UntypedStorage) -> None:
        number, size = storage._cdata, storage.nbytes()
        self._known.add(number)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._release, number, size)

    def _release(self, number: int, size: int) -> None:
        self._known.discard(number)
        self.now -= size


def matrix_rate(device: torch.device, precision: PrecisionName, threads: int) -> float:
    """Return the operations per second of a large square matrix product, computed in this precision."""
    torch.set_num_threads(threads)
    chosen = PRECISIONS[precision]
    chosen.set_products(device)
    side = _MATRIX_SIDE[device.type]
    factors = torch.rand(2, side, side, device=device).to(chosen.activations or chosen.dtype)
    seconds = []
    for _ in range(7):
        started = time.perf_counter()
        product = factors[0] @ factors[1]
        product[0, 0].item()  # waits for the device
        seconds.append(time.perf_counter() - started)
    return float(2 * side**3 / statistics.median(seconds[2:]))
