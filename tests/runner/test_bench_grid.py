"""Which cells `harness bench` has on a machine, and the trial that each trains."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

from harness.runner.bench.grid import Machine, cells, trial_of
from tests.support.bench_cells import CPU, GPU, cell_of
from tests.support.records import suite_of


def test_a_cpu_has_cells_for_its_cores_and_its_ranks() -> None:
    found = [
        (each.experiment, each.precision, str(each.execution), each.ranks, each.threads)
        for each in cells(["one", "two"], CPU, 9)
    ]
    ways = [("ddp, eager", 1, 2), ("spread, eager", 1, 1), ("spread, eager", 2, 1), ("ddp, eager", 2, 1)]
    kinds = itertools.product(("one", "two"), ("fp32", "bf16"))
    assert found == [(*kind, *way) for kind in kinds for way in ways]


def test_a_cpu_of_one_core_has_one_cell_a_precision() -> None:
    machine = Machine(device="A CPU", is_gpu=False, ranks=1, cores=1)
    assert cells(["one"], machine, 9) == [cell_of(), cell_of(precision="bf16")]


def test_a_gpu_has_every_engine_precision_placement_width_and_number_of_ranks() -> None:
    found = cells(["one"], GPU, 9)
    ways = [
        *itertools.product(["spread"], [1, 2, 3, 4, 8, 9], [1]),
        *itertools.product(["spread"], [1, 2, 3, 4, 5], [2]),
        *itertools.product(["spread"], [1, 2, 3], [4]),
        *itertools.product(["ddp"], [1], [2, 4]),  # ddp of one rank is one trial alone
    ]
    expected = {
        (engine, precision, *way)
        for engine in ("eager", "graph", "compiled")
        for precision in ("fp32", "tf32", "bf16")
        for way in ways
        if (engine, way[0]) != ("compiled", "ddp")
    }
    counts = Counter(
        (way.engine, each.precision, way.placement, way.trials_per_device, each.ranks)
        for each in found
        for way in [each.execution]
    )
    assert counts == Counter(expected)
    assert {each.threads for each in found} == {1}


def test_ranks_that_are_no_power_of_two_are_measured_all_together_too() -> None:
    found = cells(["one"], GPU.model_copy(update={"ranks": 6}), 9)
    assert sorted({each.ranks for each in found}) == [1, 2, 4, 6]


def test_a_cell_changes_precision_and_batch_size_of_its_experiment_alone(tmp_path: Path) -> None:
    suite = suite_of(tmp_path)
    original = next(trial for trial in suite.trials() if trial.experiment == "two")
    trial = trial_of(suite, "two", "bf16")
    assert (trial.folder, trial.experiment, trial.seed) == (original.folder, "two", original.seed)
    expected = original.settings.model_dump()
    expected["training"]["precision"] = "bf16"
    assert trial.settings.model_dump() == expected
    larger = trial_of(suite, "two", "bf16", 40)
    expected["training"]["batch_size"] = 40
    assert larger.settings.model_dump() == expected
    assert suite.experiments["two"].training.batch_size == 10


def test_cells_share_trials_unless_precision_engine_or_the_ranks_of_one_trial_differ() -> None:
    found = cells(["one"], GPU, 16)
    shared = Counter(cell.group for cell in found)
    precisions = ("fp32", "tf32", "bf16")
    expected = set(itertools.product(precisions, ("eager", "graph"), (None,), (0, 2, 4)))
    expected |= set(itertools.product(precisions, ("compiled",), (None,), (0,)))
    assert set(shared) == expected
    assert {count for (*_, together), count in shared.items() if not together} == {6 + 5 + 4}
    (threads,) = {
        cell.group for cell in cells(["one"], CPU, 1) if cell.ranks == 1 and cell.precision == "fp32"
    }
    assert threads == ("fp32", "eager", None, 0)
    larger = cell_of().model_copy(update={"batch_size": 200})
    assert larger.group != cell_of().group
