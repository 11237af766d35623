"""Made-up measurements of how the trials of a small suite scale over ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.runner.bench.grid import Machine
from harness.runner.bench.scale_grid import Kind, points
from harness.runner.bench.scale_table import Scale
from tests.support.bench_cells import measured
from tests.support.records import suite_of

# Images/s by experiment, kind of scaling and ranks: round by round together, and apart if that was measured.
Speeds = Mapping[tuple[str, Kind | None, int], tuple[Sequence[float], Sequence[float]]]


def scale_of(folder: Path, machine: Machine, speeds: Speeds, left_out: dict[str, list[str]]) -> Scale:
    suite, worlds = suite_of(folder), sorted({ranks for _, _, ranks in speeds})
    asked = [each for name in suite.experiments for each in points(suite, name, worlds, 1000)]
    measurements = []
    engine = {"engine": "graph" if machine.is_gpu else "eager"}
    for each in asked:
        together, apart = speeds.get((each.together.experiment, each.kind, each.together.ranks), ((), ()))
        for cell, found in ((each.together, together), (each.apart, apart)):
            if found:
                measurements.append(measured(cell, *found, **engine))
    return Scale(
        suite=suite.folder, machine=machine, measurements=measurements, left_out=left_out, points=asked
    )


SPEEDS: Speeds = {
    ("one", None, 1): ((1000, 2000, 1900), ()),
    ("one", "strong", 2): ((1500, 3000, 3040), (1800, 4000, 3800)),
    ("one", "weak", 2): ((1900, 3600, 3610), (1880, 4000, 3800)),
    ("one", "strong", 4): ((2000, 4400, 4180), (3500, 7000, 7600)),
    ("two", None, 1): ((100.4, 100.6, 99.9), ()),
    ("two", "strong", 2): ((150, 151, 152), ()),
}
LEFT_OUT = {"there are only 30 training samples": ["one, fp32, ddp, 4 ranks, batches of 40"]}
