"""Cells of the speed benchmark, two machines that have them, and made-up measurements."""

from __future__ import annotations

from typing import Any

from harness.config.settings import PrecisionName
from harness.runner.bench.grid import BenchCell, Machine
from harness.runner.bench.table import Measurement
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


def measured(cell: BenchCell, *speeds: float, **changes: Any) -> Measurement:
    made_up = Measurement(
        cell=cell,
        engine=cell.execution.engine or "eager",
        batch_size=cell.batch_size or 100,
        images_per_second=list(speeds),
        flops_per_image=2e6,
        matrix_flops_per_second=1e10,
        peak_memory_gib=0.25,
    )
    return made_up.model_copy(update=changes)
