"""Measures one cell on one rank: seconds of some steps, operations, memory; and the device's matrix rate."""

from __future__ import annotations

import statistics
import time
import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from harness.bench.cells import Cell
from harness.settings import PrecisionName
from harness.suite import Trial
from harness.training.batches import ResidentDataset
from harness.training.precision import PRECISIONS
from harness.training.rig import Rig
from harness.training.world import World

_MATRIX_SIDE = {"cpu": 1024, "cuda": 8192}


class Meter:
    """A cell's trials, warmed up, on a rank that takes part in it."""

    def __init__(self, cell: Cell, trial: Trial, data: ResidentDataset, world: World) -> None:
        self.cell, self.world = cell, world
        torch.set_num_threads(cell.threads)
        before = _reserved(world.device)
        with _Held() as held:
            self.rig = Rig(trial, data, world, cell.execution.engine, cell.execution.trials_per_device)
            with FlopCounterMode(display=False) as counter:
                self.rig.train(1)
            self.flops_per_step = counter.get_total_flops()  # of this rank, all of its trials
            held.most = held.now
            self.rig.train(1)
        self.rig.warm_up()
        self.is_as_asked = self.rig.engines == {cell.execution.engine}
        most = held.most
        if world.device.type == "cuda" and cell.execution.engine == "graph":
            most = _reserved(world.device) - before  # a graph keeps the memory that it needs for itself
        self.peak_memory_gib = most / 2**30

    def seconds(self, steps: int) -> float:
        """Return the seconds that so many steps take."""
        torch.set_num_threads(self.cell.threads)
        return self.rig.train(steps)


class _Held(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows how many bytes the tensors that are made inside hold together, and the most of it."""

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
    """Return the operations a second of a large square matrix product, as the precision computes products."""
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


def _reserved(device: torch.device) -> int:
    """Return how many bytes of a GPU are taken and not to be given back."""
    if device.type == "cpu":
        return 0
    torch.cuda.empty_cache()
    return torch.cuda.memory_reserved(device)
