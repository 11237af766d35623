"""The measurement of all cells by all ranks: one after the other, round by round, until the time is over."""

from __future__ import annotations

import json
import math
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from harness import provenance
from harness.bench.cells import Cell, Machine, cells, trial_of
from harness.bench.meter import Meter, matrix_rate
from harness.bench.table import Bench, Measurement, markdown
from harness.data import Dataset
from harness.errors import UsageError
from harness.files import write_whole
from harness.request import Request, load_data
from harness.settings import PrecisionName
from harness.suite import Suite
from harness.training.batches import ResidentDataset
from harness.training.precision import PRECISIONS
from harness.training.world import Fleet, World

_CHUNK_SECONDS = 0.2
_LEAST_ROUNDS = 3


@dataclass
class _Bench:
    suite: Suite
    dataset: Dataset
    fleet: Fleet
    worlds: Mapping[int, World | None]
    say: Callable[[str], None]
    meters: dict[Cell, Meter] = field(default_factory=dict)
    residents: dict[torch.dtype, ResidentDataset] = field(default_factory=dict)
    points: int = 0

    def measure(self, chosen: Sequence[Cell], seconds: float) -> list[Measurement]:
        """Measure all cells that fit; the first rank, which is in all of them, returns what it knows."""
        started = time.monotonic()
        steps = {cell: count for cell in chosen if (count := self._warmed_up(cell))}
        kinds = dict.fromkeys((cell.precision, cell.ranks, cell.threads) for cell in steps)
        rates = {kind: self._rate(*kind) for kind in kinds}
        samples: dict[Cell, list[float]] = {cell: [] for cell in steps}
        rounds = 0
        while self._agreed(rounds < _LEAST_ROUNDS or time.monotonic() - started < seconds):
            for cell, count in steps.items():
                meter = self.meters.get(cell)
                slowest = self._slowest(meter.seconds(count) if meter else 0.0)
                samples[cell].append(cell.trials * self._batch_size(cell) * count / slowest)
            rounds += 1
            self.say(f"round {rounds}: {len(steps)} cells, {time.monotonic() - started:.0f} s")
        return [
            self._measurement(cell, meter, samples[cell], rates[cell.precision, cell.ranks, cell.threads])
            for cell, meter in self.meters.items()
            if cell in steps
        ]

    def _warmed_up(self, cell: Cell) -> int | None:
        """Make the cell's meter, where this rank takes part; return how many steps are timed at a time.

        None where a rank has no memory for it, or cannot execute it as asked.
        """
        world = self._world(cell)
        first = 0.0
        if world is not None:
            try:
                meter = Meter(cell, trial_of(self.suite, cell), self._resident(cell), world)
                first = meter.seconds(3) / 3 if meter.is_as_asked else math.inf
                self.meters[cell] = meter
            except torch.OutOfMemoryError:
                if world.world_size > 1:
                    raise  # the others wait for this rank
                first = math.inf
        slowest = self._slowest(first)
        if math.isinf(slowest):
            self.meters.pop(cell, None)
            return None
        return min(500, max(3, round(_CHUNK_SECONDS / slowest)))

    def _resident(self, cell: Cell) -> ResidentDataset:
        dtype = PRECISIONS[cell.precision].dtype
        if dtype not in self.residents:
            self.residents[dtype] = ResidentDataset.of(self.dataset, self.fleet.device, dtype)
        return self.residents[dtype]

    def _world(self, cell: Cell) -> World | None:
        if cell.execution.placement == "ddp" and cell.ranks > 1:
            return self.worlds[cell.ranks]
        return self.fleet.alone() if self.fleet.rank < cell.ranks else None

    def _rate(self, precision: PrecisionName, ranks: int, threads: int) -> float:
        """Return the matrix rate of the slowest of the ranks, all at once."""
        takes_part = self.fleet.rank < ranks
        self._meet()
        seconds = 1 / matrix_rate(self.fleet.device, precision, threads) if takes_part else 0.0
        return 1 / self._slowest(seconds)

    def _measurement(self, cell: Cell, meter: Meter, samples: list[float], rate: float) -> Measurement:
        return Measurement(
            cell=cell,
            batch_size=self._batch_size(cell),
            images_per_second=samples,
            flops_per_image=meter.flops_per_step * cell.ranks / (self._batch_size(cell) * cell.trials),
            matrix_flops_per_second=rate,
            peak_memory_gib=meter.peak_memory_gib,
        )

    def _batch_size(self, cell: Cell) -> int:
        return min(
            self.suite.experiments[cell.experiment].training.batch_size, len(self.dataset.train.labels)
        )

    def _meet(self) -> None:
        """Wait until all ranks are here; it polls, so that those who wait cost no core."""
        self.points += 1
        self.fleet.count(f"meeting/{self.points}")
        while self.fleet.count(f"meeting/{self.points}", 0) < self.fleet.world_size:
            time.sleep(0.002)

    def _slowest(self, seconds: float) -> float:
        """Return the most seconds that any rank gives."""
        self.fleet.put(f"seconds/{self.points}/{self.fleet.rank}", json.dumps(seconds))
        point = self.points
        self._meet()
        ranks = range(self.fleet.world_size)
        return max(float(json.loads(self.fleet.look(f"seconds/{point}/{rank}") or "0")) for rank in ranks)

    def _agreed(self, goes_on: bool) -> bool:
        """Return what the rank that speaks decides."""
        return self._slowest(float(goes_on and self.fleet.speaks)) > 0


def measure(request: Request, fleet: Fleet, seconds: float, env: Mapping[str, str]) -> None:
    """Measure the suite's experiments for about so many seconds; one rank writes and prints the table."""
    (suite,) = request.suites
    is_gpu = fleet.device.type == "cuda"
    name = provenance.device_name(fleet.device)
    machine = Machine(device=name, is_gpu=is_gpu, ranks=fleet.world_size, cores=provenance.cores())
    chosen = cells(list(request.only or suite.experiments), machine)
    worlds = {size: fleet.first(size) for size in sorted({cell.ranks for cell in chosen})}

    def say(text: str) -> None:
        if fleet.speaks:
            print(text, file=sys.stderr, flush=True)  # noqa: T201

    dataset = load_data(request, next(suite.trials()), env)
    measurements = _Bench(suite, dataset, fleet, worlds, say).measure(chosen, seconds)
    if fleet.speaks:
        if not measurements:
            raise UsageError(f"{suite.folder}: nothing of it fits in the memory of {name}")
        versions = provenance.versions()
        place = f"{machine.ranks} x" if is_gpu else f"{machine.cores} cores of"
        made = (
            f"Measured {provenance.now()} on {place} {name}; dataset "
            f"{suite.dataset.name}; torch {versions.torch}; commit {(versions.commit or 'unknown')[:8]}."
        )
        found = Bench(suite=suite.folder, machine=machine, measurements=measurements)
        text = markdown(found, made)
        slug = re.sub(r"\(\w*\)|[^A-Za-z0-9]", " ", name).split()
        folder = request.results / "bench" / "-".join(slug).lower()
        write_whole(folder / f"{suite.folder}.json", (found.model_dump_json(indent=1) + "\n").encode())
        write_whole(folder / f"{suite.folder}.md", text.encode())
        print(f"{text}\n({folder / suite.folder}.md)")  # noqa: T201
