"""What `harness bench` measures, how, and the table that it writes."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.config.settings import PrecisionName
from harness.results.record import EngineName
from harness.runner.bench import meter
from harness.runner.bench.benchmark import _Bench
from harness.runner.bench.grid import Cell, Machine, cells, trial_of
from harness.runner.bench.meter import Meter, matrix_rate
from harness.runner.bench.table import Bench, Measurement, markdown
from harness.runner.placement import Execution
from harness.training.dataloader import Share
from harness.training.distributed import ProcessGroup, RunRanks
from harness.training.engine import Eager
from harness.training.step import Step
from harness.training.throughput import TimedTrial, TimedTrials, grow
from tests.support.golden import assert_golden
from tests.support.ranks import ranks_of_run
from tests.support.records import suite_of
from tests.support.trials import resident, small_dataset, small_trial

ALONE = ProcessGroup(0, 1, torch.device("cpu"))
CPU = Machine(device="A CPU", is_gpu=False, ranks=2, cores=2)
GPU = Machine(device="A GPU", is_gpu=True, ranks=4, cores=64)
MLP = {"name": "mlp", "hidden": [20, 12], "dropout": 0.4}

SINGLE = Execution(placement="spread", engine="eager")
SINGLE_GRAPH = Execution(placement="spread", engine="graph")
CROWDED = Execution(placement="spread", engine="graph", trials_per_device=2)
DDP = Execution(placement="ddp", engine="eager")


def cell_of(
    execution: Execution = SINGLE, ranks: int = 1, threads: int = 1, precision: PrecisionName = "fp32"
) -> Cell:
    return Cell(experiment="one", precision=precision, execution=execution, ranks=ranks, threads=threads)


def measured(cell: Cell, *speeds: float, **changes: Any) -> Measurement:
    made_up = Measurement(
        cell=cell,
        batch_size=100,
        images_per_second=list(speeds),
        flops_per_image=2e6,
        matrix_flops_per_second=1e10,
        peak_memory_gib=0.25,
    )
    return made_up.model_copy(update=changes)


def column(text: str, name: str) -> list[str]:
    """Return what stands in one column of a table, row by row."""
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.startswith("|")]
    return [row[rows[0].index(name)] for row in rows[2:]]


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
        for engine in ("eager", "graph")
        for precision in ("fp32", "tf32", "bf16")
        for way in ways
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


def test_a_cell_trains_its_experiment_with_nothing_changed_but_the_precision(tmp_path: Path) -> None:
    suite = suite_of(tmp_path)
    original = next(trial for trial in suite.trials() if trial.experiment == "two")
    cell = cell_of(precision="bf16").model_copy(update={"experiment": "two"})
    trial = trial_of(suite, cell)
    assert (trial.folder, trial.experiment, trial.seed) == (original.folder, "two", original.seed)
    expected = original.settings.model_dump()
    expected["training"]["precision"] = "bf16"
    assert trial.settings.model_dump() == expected


def test_efficiency_compares_a_rank_with_one_trial_of_the_same_engine_and_precision() -> None:
    measurements = [
        measured(cell_of(), 1000, 2000, 9000),
        measured(cell_of(SINGLE_GRAPH), 8000),
        measured(cell_of(DDP, ranks=2), 3000),  # 1500 a rank, against 2000
        measured(cell_of(CROWDED, ranks=4), 48000),  # 12000 a rank, against 8000
        measured(cell_of(DDP, ranks=2, precision="bf16"), 3000),  # against nothing
    ]
    text = markdown(Bench(suite="small", machine=GPU, measurements=measurements), "")
    assert column(text, "Efficiency") == ["100 %", "100 %", "75 %", "150 %", "–"]
    assert column(text, "Images/s a rank") == ["2,000", "8,000", "1,500", "12,000", "1,500"]


def test_the_matrix_share_is_of_all_ranks_and_a_step_is_one_batch_of_every_trial() -> None:
    each = measured(cell_of(CROWDED, ranks=2), 1000, 9000, 4000)
    assert each.matrix_share == 4000 * 2e6 / (2 * 1e10)
    assert each.step_milliseconds == 1000 * 4 * 100 / 4000  # 2 ranks of 2 trials, batches of 100


def test_the_table_is_as_people_read_it() -> None:
    on_cpu = [
        measured(cell_of(DDP, threads=2), 3612.4, 3500, 3700.6, matrix_flops_per_second=1.8e10),
        measured(cell_of(), 2000, 1950, 2100),
        measured(cell_of(SINGLE, ranks=2), 3900, 3800, 3950, peak_memory_gib=2.5),
        measured(cell_of(DDP, ranks=2), 3000, 2900, 3100),
        measured(cell_of(SINGLE, ranks=2, precision="bf16"), 1500, 1400, 1600),
    ]
    on_gpu = [
        measured(cell_of(SINGLE_GRAPH), 1e6, 0.98e6, 1.02e6),
        measured(cell_of(CROWDED), 1.75e6, 1.7e6, 1.8e6),
        measured(cell_of(CROWDED, ranks=4), 6.4e6, 6.5e6, 6.3e6),
        measured(cell_of(Execution(placement="ddp", engine="graph"), ranks=4), 2e6, 2e6, 2e6),
    ]
    fast = [each.model_copy(update={"matrix_flops_per_second": 1e13}) for each in on_gpu]
    left_out = {
        "the device's memory is too small": [
            str(cell_of(SINGLE_GRAPH.model_copy(update={"trials_per_device": width}), ranks))
            for width, ranks in ((8, 1), (16, 1), (8, 4))
        ]
    }
    texts = [
        markdown(
            Bench(suite="small", machine=machine, measurements=each, left_out=missing),
            f"Measured on {machine.device}.",
        )
        for machine, each, missing in ((CPU, on_cpu, {}), (GPU, fast, left_out))
    ]
    assert_golden("bench.md", "\n".join(texts))


def test_held_bytes_follow_what_is_made_and_freed() -> None:
    there = torch.zeros(1000)
    with meter._Held() as held:
        seen = [held.now]

        def see() -> None:
            seen.append(held.now)

        first = torch.ones(256)
        see()
        view = first.view(16, 16).t()
        there.add_(1)
        part = there[:10]
        see()
        second = view + 1
        see()
        del first
        see()
        del view
        see()
        third = torch.zeros(100, dtype=torch.float64)
        see()
        del second, third, part
    assert [*seen, held.now] == [0, 1024, 1024, 2048, 2048, 1024, 1824, 0]
    assert held.most == 2048


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_matrix_rate_is_of_the_median_product_after_the_first_two(
    precision: PrecisionName, monkeypatch: pytest.MonkeyPatch
) -> None:
    took = [50.0, 60.0, 1.0, 4.0, 0.5, 2.0, 3.0]
    times = itertools.accumulate(itertools.chain([0.0], *((each, 0.25) for each in took)))
    monkeypatch.setitem(meter._MATRIX_SIDE, "cpu", 16)
    monkeypatch.setattr("harness.runner.bench.meter.time", SimpleNamespace(perf_counter=lambda: next(times)))
    assert matrix_rate(ALONE.device, precision, threads=1) == 2 * 16**3 / 2.0


def test_cells_share_trials_unless_precision_engine_or_the_ranks_of_one_trial_differ() -> None:
    found = cells(["one"], GPU, 16)
    shared = Counter(cell.rig for cell in found)
    expected = set(itertools.product(("fp32", "tf32", "bf16"), ("eager", "graph"), (0, 2, 4)))
    assert set(shared) == expected
    assert {count for (*_, together), count in shared.items() if not together} == {6 + 5 + 4}
    (threads,) = {cell.rig for cell in cells(["one"], CPU, 1) if cell.ranks == 1 and cell.precision == "fp32"}
    assert threads == ("fp32", "eager", 0)


def meter_of(**training: Any) -> Meter:
    trial = small_trial(MLP, precision="fp32", **training)
    meter = Meter(trial, resident(trial, ALONE), ALONE, "eager")
    assert meter.add()
    return meter


def test_peak_memory_counts_what_the_optimizer_keeps() -> None:
    parameters = 64 * 20 + 20 * 12 + 12 * 10 + 20 + 12 + 10 + 2 * (20 + 12)
    plain, adam = (
        meter_of(optimizer=optimizer).peak_memory_gib(1) * 2**30
        for optimizer in ({"name": "SGD", "lr": 0.01}, {"name": "Adam", "lr": 0.01})
    )
    assert adam - plain >= 2 * 4 * parameters


class Allocator:
    """Reserves memory as torch's does: what is freed stays reserved until the cache is emptied."""

    held = reserved = most = 0

    def take(self, kept: int, for_a_while: int) -> None:
        self.reserved = max(self.reserved, self.held + kept + for_a_while)
        self.held += kept
        self.most = max(self.most, self.reserved)

    def empty(self) -> None:
        self.reserved = self.held

    def reset(self) -> None:
        self.most = self.reserved


@pytest.mark.parametrize("engine", ["eager", "graph"])
def test_memory_of_a_gpu_is_what_its_allocator_reserves_at_most_whichever_engine(
    engine: EngineName, monkeypatch: pytest.MonkeyPatch
) -> None:
    allocator = Allocator()

    def make(rig: TimedTrials, seed: int) -> TimedTrial:
        allocator.take(kept=50, for_a_while=200)
        trainee: Any = SimpleNamespace(engine=SimpleNamespace(name=engine, train=lambda share: None))
        share = Share(torch.arange(3), 0, 3)
        return TimedTrial(trainee, itertools.repeat(share), share, contextlib.nullcontext())

    monkeypatch.setattr(TimedTrials, "_made", make)
    monkeypatch.setattr("torch.cuda.empty_cache", allocator.empty)
    monkeypatch.setattr("torch.cuda.memory_reserved", lambda device: allocator.reserved)
    monkeypatch.setattr("torch.cuda.max_memory_reserved", lambda device: allocator.most)
    monkeypatch.setattr("torch.cuda.reset_peak_memory_stats", lambda device: allocator.reset())
    allocator.take(kept=700, for_a_while=200)  # the dataset and another rig
    trial = small_trial(MLP)
    meter = Meter(trial, resident(trial, ALONE), ProcessGroup(0, 1, torch.device("cuda", 0)), engine, 4)
    grow([meter])
    assert [meter.peak_memory_gib(width) * 2**30 for width in (1, 2, 4)] == [250, 500, 1000]


class Crowded(Meter):
    """Has memory for two trials."""

    def _made(self, seed: int) -> TimedTrial:
        if seed == 2:
            raise torch.OutOfMemoryError
        return super()._made(seed)


def bench_of(
    folder: Path, monkeypatch: pytest.MonkeyPatch, run_ranks: RunRanks | None = None
) -> tuple[_Bench, list[str]]:
    """Return a bench of one rank, and what it says."""
    monkeypatch.setattr("harness.runner.bench.meter._MATRIX_SIDE", {"cpu": 16})
    run_ranks, said = run_ranks or ranks_of_run(1)[0], list[str]()
    return _Bench(suite_of(folder), small_dataset(), run_ranks, {}, said.append), said


def test_widths_that_do_not_fit_are_said_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.runner.bench.benchmark.Meter", Crowded)
    bench, said = bench_of(tmp_path, monkeypatch)
    chosen = [cell_of(SINGLE.model_copy(update={"trials_per_device": width})) for width in (1, 2, 3)]
    found = bench.measure(chosen, 0)
    assert [each.cell for each in found] == chosen[:2]
    assert [len(each.images_per_second) for each in found] == [3, 3]
    assert found[1].peak_memory_gib > found[0].peak_memory_gib > 0
    assert bench.left_out == {"the device's memory is too small": [str(chosen[2])]}
    assert said[0] == f"{chosen[2]}: not measured, because the device's memory is too small"


def test_what_is_not_executed_as_asked_is_left_out_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def eagerly(step: Step, requested: EngineName, tell: Callable[[str], None], **_: object) -> Eager:
        if requested == "graph":
            tell("engine: eager, because this trial cannot be captured: it waits")
        return Eager(step)

    monkeypatch.setattr("harness.training.trainer.engine_for", eagerly)
    bench, _ = bench_of(tmp_path, monkeypatch)
    chosen = [cell_of(), cell_of(SINGLE_GRAPH)]
    assert [each.cell for each in bench.measure(chosen, 0)] == chosen[:1]
    assert bench.left_out == {"this trial cannot be captured: it waits": [str(chosen[1])]}


def test_one_experiment_is_measured_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, said = bench_of(tmp_path, monkeypatch)
    chosen = [cell_of(), cell_of().model_copy(update={"experiment": "two"})]
    assert [each.cell for each in bench.measure(chosen, 0)] == chosen
    assert [text.split(":")[0] for text in said] == [
        f"{name}, round {number}" for name in ("one", "two") for number in (1, 2, 3)
    ]


def test_who_takes_no_part_in_a_cell_meets_the_others_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    benches = [bench_of(tmp_path, monkeypatch, run_ranks)[0] for run_ranks in ranks_of_run(2)]
    chosen = [cell_of(), cell_of(ranks=2)]
    found: dict[int, list[Measurement]] = {}

    def measure(rank: int) -> None:
        found[rank] = benches[rank].measure(chosen, 0)

    other = threading.Thread(target=measure, args=(1,), daemon=True)
    other.start()
    measure(0)
    other.join()
    assert [each.cell for each in found[0]] == chosen
    assert benches[0].barrier.passed == benches[1].barrier.passed > 0
