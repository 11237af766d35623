"""How `harness bench` measures cells: in which order, with which ranks, and what it leaves out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.results.record import EngineName
from harness.runner.bench.benchmark import _Bench
from harness.runner.bench.meter import Meter
from harness.runner.bench.table import Measurement
from harness.runner.placement import Execution
from harness.training.batch_shard import BatchShard
from harness.training.distributed import RunRanks
from harness.training.engine import Eager
from harness.training.step import Step
from harness.training.throughput import TimedTrial
from tests.support.bench_cells import SINGLE, SINGLE_GRAPH, cell_of
from tests.support.ranks import ranks_of_run
from tests.support.records import suite_of
from tests.support.trials import small_dataset


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


@pytest.mark.e2e
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

    monkeypatch.setattr("harness.training.prepared_trial.engine_for", eagerly)
    bench, _ = bench_of(tmp_path, monkeypatch)
    default = cell_of(Execution(placement="spread"))
    chosen = [cell_of(), cell_of(SINGLE_GRAPH), default]
    found = bench.measure(chosen, 0)
    assert [(each.cell, each.engine) for each in found] == [(cell_of(), "eager"), (default, "eager")]
    assert bench.left_out == {"this trial cannot be captured: it waits": [str(chosen[1])]}


@pytest.mark.e2e
def test_one_experiment_is_measured_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, said = bench_of(tmp_path, monkeypatch)
    chosen = [cell_of(), cell_of().model_copy(update={"experiment": "two"})]
    assert [each.cell for each in bench.measure(chosen, 0)] == chosen
    assert [text.split(":")[0] for text in said] == [
        f"{name}, round {number}" for name in ("one", "two") for number in (1, 2, 3)
    ]


@pytest.mark.e2e
def test_who_takes_no_part_in_a_cell_meets_the_others_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BatchShard, "active", BatchShard.active_in_thread)  # the ranks are threads here
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
