"""The table that `harness bench` writes."""

from __future__ import annotations

from harness.runner.bench.table import Bench, markdown
from harness.runner.placement import Execution
from tests.support.bench_cells import CPU, CROWDED, DDP, GPU, SINGLE, SINGLE_GRAPH, cell_of, measured
from tests.support.golden import assert_golden


def column(text: str, name: str) -> list[str]:
    """Return what stands in one column of a table, row by row."""
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.startswith("|")]
    return [row[rows[0].index(name)] for row in rows[2:]]


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


def test_names_are_shown_as_they_are() -> None:
    cell = cell_of().model_copy(update={"experiment": "a|b *c*"})
    text = markdown(Bench(suite="small", machine=CPU, measurements=[measured(cell, 1000)]), "On <one>.")
    assert "| a\\|b \\*c\\* |" in text
    assert "On \\<one>." in text


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
