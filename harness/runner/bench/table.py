"""Benchmark results, as JSON and as a Markdown table."""

from __future__ import annotations

import statistics

from pydantic import Field

from harness.markdown import escaped, table
from harness.results.record import EngineName
from harness.runner.bench.grid import BenchCell, Machine
from harness.strict import Strict


class Measurement(Strict):
    """Measurements of one cell: images per second of all its trials together, one value per round."""

    cell: BenchCell
    engine: EngineName
    batch_size: int
    images_per_second: list[float]
    flops_per_image: float
    matrix_flops_per_second: float
    peak_memory_gib: float

    @property
    def median(self) -> float:
        """Return the median images per second."""
        return statistics.median(self.images_per_second)

    @property
    def step_milliseconds(self) -> float:
        """Return the milliseconds that each of the trials takes for one step."""
        return 1000 * self.cell.trials * self.batch_size / self.median

    @property
    def step_seconds(self) -> list[float]:
        """Return the seconds that each of the trials takes for one step, one value per round."""
        return [self.cell.trials * self.batch_size / speed for speed in self.images_per_second]

    @property
    def matrix_share(self) -> float:
        """Return the share of the ranks' measured matrix rate that the model's products reach."""
        return self.median * self.flops_per_image / (self.matrix_flops_per_second * self.cell.ranks)


class Bench(Strict):
    """Measurements of a suite on one machine, and for each obstacle the cells that it excluded."""

    suite: str
    machine: Machine
    measurements: list[Measurement]
    left_out: dict[str, list[str]] = Field(default_factory=dict)


_HEADER = (
    "Experiment",
    "Precision",
    "Placement, engine",
    "Ranks x threads",
    "Images/s (min to max)",
    "Images/s a rank",
    "Efficiency",
    "ms a step",
    "Matrix rate",
    "Peak memory",
)


def markdown(bench: Bench, made: str) -> str:
    """Return the table as Markdown; `made` is a sentence on the hardware, versions and time."""
    rows = [list(map(escaped, _row(each, bench))) for each in bench.measurements]
    memory = (
        "what torch's allocator reserves on a GPU for its trials, pools of graphs with it"
        if bench.machine.is_gpu
        else "tensors of a rank"
    )
    notes = [
        f"{made} {of_rounds(bench)} Images/s: of all trials at once. Efficiency: images/s a thread or GPU "
        "against one trial on one alone. Matrix rate: share of what large matrix products reach in that "
        f"precision on the same ranks. Peak memory: {memory}, the dataset left out. Training steps only, "
        "without evaluation.",
        *not_measured(bench),
    ]
    title = f"Speed of {bench.suite} on {bench.machine.device}"
    return "\n\n".join([f"# {escaped(title)}", table(_HEADER, rows), *map(escaped, notes)]) + "\n"


def of_rounds(bench: Bench) -> str:
    """Return a sentence on the rounds whose medians are shown."""
    rounds = sorted({len(each.images_per_second) for each in bench.measurements})
    count = " to ".join(map(str, dict.fromkeys((rounds[0], rounds[-1]))))
    return (
        f"Medians of {count} rounds; in each round every row of an experiment had its turn, and all ranks "
        "began together."
    )


def not_measured(bench: Bench) -> list[str]:
    """Return a sentence on each obstacle, with the cells that it excluded."""
    return [f"Not measured, because {why}: {'; '.join(cells)}." for why, cells in bench.left_out.items()]


def _row(each: Measurement, bench: Bench) -> tuple[str, ...]:
    cell, speeds = each.cell, each.images_per_second
    per_rank = each.median / cell.ranks
    single = _single(each, bench)
    return (
        cell.experiment,
        cell.precision,
        str(cell.execution) if cell.ranks > 1 or cell.trials > 1 else f"one trial, {cell.execution.engine}",
        f"{cell.ranks} x {cell.threads}" if not bench.machine.is_gpu else str(cell.ranks),
        f"{each.median:,.0f} ({min(speeds):,.0f} to {max(speeds):,.0f})",
        f"{per_rank:,.0f}",
        f"{100 * per_rank / cell.threads / single.median:.0f} %" if single else "–",
        f"{each.step_milliseconds:.2f}",
        f"{100 * each.matrix_share:.0f} %",
        f"{1024 * each.peak_memory_gib:,.0f} MiB",
    )


def _single(each: Measurement, bench: Bench) -> Measurement | None:
    alike = (each.cell.experiment, each.cell.precision, each.cell.execution.engine)
    for other in bench.measurements:
        cell = other.cell
        if cell.is_single and (cell.experiment, cell.precision, cell.execution.engine) == alike:
            return other
    return None
