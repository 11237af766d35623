"""`harness scale` on ranks of this machine: what it writes, and what it refuses before any rank starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.runner.bench.scale_table import Scale
from tests.support.runs import SUITE, run, torchrun

pytestmark = pytest.mark.usefixtures("folder")
SMALL = SUITE.replace("batch_size: 1500", "batch_size: 16")


def test_two_ranks_are_measured_beside_one() -> None:
    Path("suite.yaml").write_text(SMALL, encoding="utf-8")
    output = run("scale", "suite.yaml", "--only", "mlp", "--world", "2", "--seconds", "1", "--device", "cpu")
    (table,) = Path("results/bench").glob("*/small-scale.md")
    assert table.read_text(encoding="utf-8") in output
    scale = Scale.model_validate(json.loads(table.with_suffix(".json").read_text(encoding="utf-8")))
    assert [(each.cell.ranks, each.batch_size) for each in scale.measurements] == [
        (1, 16),
        (2, 16),
        (2, 8),
        (2, 32),
        (2, 16),
    ]
    assert {each.cell.precision for each in scale.measurements} == {"fp64"}
    assert all(len(each.images_per_second) >= 3 for each in scale.measurements)
    assert table.with_suffix(".svg").read_bytes().startswith(b"<?xml")
    assert list(Path("results").iterdir()) == [Path("results/bench")]  # no record


def test_of_a_batch_beyond_the_training_set_all_samples_are_shared() -> None:
    Path("suite.yaml").write_text(SUITE.replace("batch_size: 1500", "batch_size: 9999"), encoding="utf-8")
    options = ["--only", "mlp", "--world", "2", "--seconds", "1", "--device", "cpu"]
    output = run("scale", "suite.yaml", *options)
    assert "| strong | 2 | 8,000 |" in output
    assert "| weak |" not in output
    assert "Not measured, because there are only 8,000 training samples: mlp, fp64, ddp, 2 ranks" in output


def test_more_ranks_than_torchrun_started_are_refused() -> None:
    Path("suite.yaml").write_text(SMALL, encoding="utf-8")
    starter = ["--standalone", "--nproc_per_node=1", "-m", "harness"]
    output = torchrun(*starter, "scale", "suite.yaml", "--world", "2", "--device", "cpu", code=1)
    assert "error: --world 2: found 1 rank" in output
    assert "harness/" not in output  # no traceback of ours
    assert not Path("results").exists()
