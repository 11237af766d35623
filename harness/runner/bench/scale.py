"""Scaling benchmark: one trial of each experiment on several numbers of ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.errors import UsageError
from harness.runner.bench.benchmark import measured
from harness.runner.bench.files import machine_of, made, write
from harness.runner.bench.scale_grid import obstacle, points
from harness.runner.bench.scale_table import Scale, markdown
from harness.runner.request import Request, load_data
from harness.training.distributed import RunRanks


def measure(
    request: Request, run_ranks: RunRanks, worlds: Sequence[int], seconds: float, env: Mapping[str, str]
) -> None:
    """Measure the suite's experiments for about so many seconds; rank 0 writes table and figure, and prints.

    One rank is measured too, as what others are compared with. Raise UsageError for too few ranks.
    """
    if max(worlds) > (count := run_ranks.world_size):
        raise UsageError(
            f"--world {max(worlds)}: found {count} rank{'s' * (count > 1)}, started by torchrun; name at "
            "most as many, or start more with its --nproc_per_node"
        )
    (suite,) = request.suites
    dataset = load_data(request, next(suite.trials()), env)
    samples = len(dataset.train.labels)
    named = request.only or suite.experiments
    asked = [each for name in named for each in points(suite, name, worlds, samples)]
    obstacles = {each: why for each in asked if (why := obstacle(suite, each, samples))}
    chosen = [each for each in asked if each not in obstacles]
    cells = list(dict.fromkeys(cell for each in chosen for cell in (each.together, each.apart)))
    measurements, left_out = measured(request, dataset, run_ranks, cells, seconds)
    if run_ranks.is_rank_zero:
        from harness.runner.bench.scale_plot import svg  # loads matplotlib

        for each, why in obstacles.items():
            left_out.setdefault(why, []).append(str(each.together))
        machine = machine_of(run_ranks)
        found = Scale(
            suite=suite.folder, machine=machine, measurements=measurements, left_out=left_out, points=chosen
        )
        files = {
            ".json": found.model_dump_json(indent=1) + "\n",
            ".svg": svg(found),
            ".md": markdown(found, made(suite, machine)),
        }
        write(request.results, machine, {f"{suite.folder}-scale{end}": each for end, each in files.items()})
