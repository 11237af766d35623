"""Cells of the speed benchmark, and two machines that have them."""

from __future__ import annotations

from harness.config.settings import PrecisionName
from harness.runner.bench.grid import BenchCell, Machine
from harness.runner.placement import Execution

CPU = Machine(device="A CPU", is_gpu=False, ranks=2, cores=2)
GPU = Machine(device="A GPU", is_gpu=True, ranks=4, cores=64)

SINGLE = Execution(placement="spread", engine="eager")
SINGLE_GRAPH = Execution(placement="spread", engine="graph")
CROWDED = Execution(placement="spread", engine="graph", trials_per_device=2)
DDP = Execution(placement="ddp", engine="eager")


def cell_of(
    execution: Execution = SINGLE, ranks: int = 1, threads: int = 1, precision: PrecisionName = "fp32"
) -> BenchCell:
    return BenchCell(experiment="one", precision=precision, execution=execution, ranks=ranks, threads=threads)
