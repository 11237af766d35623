"""How many operations and collectives a training step may have: what makes one longer fails here."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.operations import PRECISIONS, Counts, cases, page, read
from harness.config.settings import PrecisionName
from harness.runner.bench.count_table import cells
from harness.training.operations import StepCount
from tests.support import ROOT

# Operations in fp32 and in bf16, and collectives of two ranks. Lower a limit when there are fewer.
MOST = {
    "exp-1": (114, 119, 7),
    "exp-2": (114, 119, 7),
    "exp-3": (114, 119, 7),
    "exp-4": (174, 179, 15),
    "exp-5": (174, 179, 15),
    "final": (263, 268, 27),
    "mlp": (52, 57, 3),
    "resnet18, colour": (179, 184, 42),
    "resnet18, colour, data on the host": (182, 187, 42),
    "resnet18, colour, augmented": (239, 244, 42),
}


def test_every_case_has_its_limit() -> None:
    assert list(cases()) == list(MOST)


@pytest.mark.e2e
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", MOST)
def test_a_step_has_no_more_operations_and_collectives(name: str, precision: PrecisionName) -> None:
    of_fp32, of_bf16, collectives = MOST[name]
    found = cases()[name].count(precision, batch_size=8)  # the same of any size
    assert found.operations <= (of_bf16 if precision == "bf16" else of_fp32)
    assert found.collectives <= collectives


def test_the_committed_table_shows_the_committed_counts() -> None:
    path = ROOT / "results" / "bench" / "operations.md"
    rows = [line.strip("| ").split(" | ") for line in path.read_text(encoding="utf-8").splitlines()]
    shown = {tuple(row[:2]): [cell.split(" → ")[-1] for cell in row[2:]] for row in rows if len(row) > 2}
    counts = read(path.with_suffix(".json"))
    assert list(counts) == list(MOST)
    for name, by_precision in counts.items():
        for precision, step in by_precision.items():
            assert shown[name, precision] == cells(step)


def test_before_and_after_stand_side_by_side(tmp_path: Path) -> None:
    now = StepCount(
        operations=240,
        hashing=6,
        casting=3,
        bytes=3_900_000_000,
        flops=45_334_000_000,
        collectives=27,
        exchanged_bytes=2_910_300,
    )
    counts: Counts = {"final": {"fp32": now.model_copy(update={"operations": 328, "hashing": 92})}}
    rows = page({"final": {"fp32": now}, "new": {"bf16": now}}, counts).splitlines()
    alike = "3 | 3,900 | 45.33 | 27 | 2.910 |"
    assert f"| final | fp32 | 328 → 240 | 92 → 6 | {alike}" in rows
    assert f"| new | bf16 | 240 | 6 | {alike}" in rows
