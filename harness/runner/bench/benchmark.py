"""Benchmark loop: all ranks measure all cells in turn, round by round, until the time is over."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from harness.config.settings import PrecisionName
from harness.config.suite import Suite
from harness.data import Dataset
from harness.errors import CrashError, UsageError
from harness.results import provenance
from harness.runner.bench.files import machine_of, made, write
from harness.runner.bench.grid import BenchCell, GroupKey, cells, trial_of
from harness.runner.bench.meter import Meter, matrix_rate
from harness.runner.bench.table import Bench, Measurement, markdown
from harness.runner.request import Request, load_data
from harness.training.barrier import Barrier
from harness.training.cost import cost_of
from harness.training.dataloader import DataOn, ResidentDataset
from harness.training.device import is_spoiled
from harness.training.distributed import ProcessGroup, RunRanks
from harness.training.engine import CaptureError
from harness.training.precision import PRECISIONS
from harness.training.throughput import grow, release
from harness.user_code import calling

_CHUNK_SECONDS = 0.2
_LEAST_ROUNDS = 3

_Kind = tuple[PrecisionName, int, int]


@dataclass
class _Bench:
    suite: Suite
    dataset: Dataset
    run_ranks: RunRanks
    worlds: Mapping[int, ProcessGroup | None]
    say: Callable[[str], None]
    data_on: DataOn = "auto"
    barrier: Barrier = field(init=False)
    residents: dict[torch.dtype, ResidentDataset] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.barrier = Barrier(self.run_ranks, "bench")

    def measure(self, chosen: Sequence[BenchCell], seconds: float) -> list[Measurement]:
        """Measure one experiment after the other, as cells are compared only within an experiment.

        Rank 0, which takes part in all cells, returns all measurements.
        """
        kinds = dict.fromkeys((cell.precision, cell.ranks, cell.threads) for cell in chosen)
        rates = {kind: self._rate(*kind) for kind in kinds}  # while there is memory for it
        found: list[Measurement] = []
        experiments = list(dict.fromkeys(cell.experiment for cell in chosen))
        for experiment in experiments:
            own = [cell for cell in chosen if cell.experiment == experiment]
            found += self._experiment(own, rates, seconds / len(experiments))
            release(self.run_ranks.device)
            if any(self.barrier.gather(is_spoiled())):
                self.say(f"{experiment}: a capture broke, and no more can be measured after it")
                break
        return found

    def _experiment(
        self, chosen: Sequence[BenchCell], rates: Mapping[_Kind, float], seconds: float
    ) -> list[Measurement]:
        """Measure all measurable cells in turn, round by round, until the time is over."""
        started = time.monotonic()
        meters = self._meters(chosen)
        counts = {cell: count for cell in chosen if (count := self._chunk(cell, meters))}
        samples: dict[BenchCell, list[float]] = {cell: [] for cell in counts}
        rounds = 0
        while self._agreed(rounds < _LEAST_ROUNDS or time.monotonic() - started < seconds):
            for cell, count in counts.items():
                slowest = max(self.barrier.gather(self._seconds(cell, meters, count)))
                samples[cell].append(cell.trials * self._batch_size(cell) * count / slowest)
            rounds += 1
            spent = time.monotonic() - started
            self.say(f"{chosen[0].experiment}, round {rounds}: {len(counts)} cells, {spent:.0f} s")
        return [
            self._measurement(
                cell, meters[cell.group], speeds, rates[cell.precision, cell.ranks, cell.threads]
            )
            for cell, speeds in samples.items()
            if cell.group in meters
        ]

    def _meters(self, chosen: Sequence[BenchCell]) -> dict[GroupKey, Meter]:
        """Create this rank's trials for all cells, warmed up, as many as fit."""
        widest = max(cell.execution.trials_per_device for cell in chosen)
        meters: dict[GroupKey, Meter] = {}
        for cell in chosen:
            _, engine, _, together = cell.group
            world = self.worlds[together] if together else self.run_ranks.alone()
            if world is None or self.run_ranks.rank >= cell.ranks:
                continue
            width = cell.execution.trials_per_device
            most = max(meters[cell.group].most if cell.group in meters else 1, width)
            meters[cell.group] = Meter(
                trial_of(self.suite, cell.experiment, cell.precision, cell.batch_size),
                self._resident(cell),
                world,
                engine,
                most,
                barrier=self.barrier.wait,
                first_place=widest if together else 0,
            )
        # Trials of several ranks first: there is memory now, and no rank waits in a collective.
        self.barrier.wait()
        torch.set_num_threads(1)
        grow([meter for meter in meters.values() if meter.world.world_size > 1])
        grow([meter for meter in meters.values() if meter.world.world_size == 1])
        return meters

    def _chunk(self, cell: BenchCell, meters: Mapping[GroupKey, Meter]) -> int | None:
        """Return how many steps of a cell are timed at a time; None if a rank cannot measure it."""
        obstacles = self.barrier.gather(self._obstacle(cell, meters))
        if obstacle := next(filter(None, obstacles), None):
            self.left_out.setdefault(obstacle, []).append(str(cell))
            self.say(f"{cell}: not measured, because {obstacle}")
            return None
        slowest: float = max(self.barrier.gather(self._seconds(cell, meters, 3) / 3))
        return min(500, max(3, round(_CHUNK_SECONDS / slowest)))

    def _obstacle(self, cell: BenchCell, meters: Mapping[GroupKey, Meter]) -> str | None:
        """Return why this rank cannot measure a cell that it takes part in; None if it can."""
        if self.run_ranks.rank >= cell.ranks:
            return None
        meter = meters[cell.group]
        if len(meter.members) < cell.execution.trials_per_device:
            return meter.obstacle
        if cell.execution.engine not in (None, meter.engine):
            return meter.notes[0].removeprefix(f"engine: {meter.engine}, because ")
        return None

    def _seconds(self, cell: BenchCell, meters: Mapping[GroupKey, Meter], steps: int) -> float:
        """Return this rank's seconds for the steps; a rank without a part only waits at the barrier."""
        if self.run_ranks.rank >= cell.ranks:
            self.barrier.wait()
            return 0.0
        torch.set_num_threads(cell.threads)
        return meters[cell.group].train(steps, cell.execution.trials_per_device)

    def _resident(self, cell: BenchCell) -> ResidentDataset:
        dtype = PRECISIONS[cell.precision].dtype
        if dtype not in self.residents:
            self.residents[dtype] = ResidentDataset.of(
                self.dataset, self.run_ranks.device, dtype, self.data_on
            )
        return self.residents[dtype]

    def _rate(self, precision: PrecisionName, ranks: int, threads: int) -> float:
        """Return the matrix rate of the slowest rank, with all measured at once."""
        takes_part = self.run_ranks.rank < ranks
        self.barrier.wait()
        rate = matrix_rate(self.run_ranks.device, precision, threads) if takes_part else math.inf
        return float(min(self.barrier.gather(rate)))

    def _measurement(self, cell: BenchCell, meter: Meter, speeds: list[float], rate: float) -> Measurement:
        return Measurement(
            cell=cell,
            engine=meter.engine,
            batch_size=self._batch_size(cell),
            images_per_second=speeds,
            flops_per_image=cost_of(meter.trial, meter.data).flops_per_image,
            matrix_flops_per_second=rate,
            peak_memory_gib=meter.peak_memory_gib(cell.execution.trials_per_device),
        )

    def _batch_size(self, cell: BenchCell) -> int:
        asked = cell.batch_size or self.suite.experiments[cell.experiment].training.batch_size
        return min(asked, len(self.dataset.train.labels))

    def _agreed(self, goes_on: bool) -> bool:
        """Return rank 0's decision."""
        return bool(self.barrier.gather(goes_on)[0])


def measured(
    request: Request, dataset: Dataset, run_ranks: RunRanks, chosen: Sequence[BenchCell], seconds: float
) -> tuple[list[Measurement], dict[str, list[str]]]:
    """Measure the cells for about so many seconds; return rank 0's measurements, and what was left out, why.

    Raise CrashError where none can go on, UsageError on rank 0 where nothing could be measured.
    """
    (suite,) = request.suites
    worlds = {size: run_ranks.first(size) for size in sorted({cell.ranks for cell in chosen})}

    def say(text: str) -> None:
        if run_ranks.is_rank_zero:
            print(text, file=sys.stderr, flush=True)  # noqa: T201

    bench = _Bench(suite, dataset, run_ranks, worlds, say, request.data_on)
    try:
        with calling(f"{suite.folder}: nothing is measured", CrashError):
            measurements = bench.measure(chosen, seconds)
    except CaptureError as error:  # of ranks that train together: none can go on
        raise CrashError(f"{suite.folder}: {error}; leave the experiment out with --only") from None
    if run_ranks.is_rank_zero and not measurements:
        raise UsageError(
            f"{suite.folder}: nothing is measured on {provenance.device_name(run_ranks.device)}: "
            f"{'; '.join(bench.left_out)}"
        )
    return measurements, bench.left_out


def measure(request: Request, run_ranks: RunRanks, seconds: float, env: Mapping[str, str]) -> None:
    """Measure the suite's experiments for about so many seconds; rank 0 writes and prints the table."""
    (suite,) = request.suites
    machine = machine_of(run_ranks)
    dataset = load_data(request, next(suite.trials()), env)
    chosen = cells(list(request.only or suite.experiments), machine, len(request.trials))
    measurements, left_out = measured(request, dataset, run_ranks, chosen, seconds)
    if run_ranks.is_rank_zero:
        found = Bench(suite=suite.folder, machine=machine, measurements=measurements, left_out=left_out)
        text = markdown(found, made(suite, machine))
        files = {".json": found.model_dump_json(indent=1) + "\n", ".md": text}
        write(request.results, machine, {f"{suite.folder}{end}": each for end, each in files.items()})
