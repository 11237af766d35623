"""The table that `harness scale` writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.runner.bench.scale_table import Row, Scale, markdown, rows
from tests.support.bench_cells import CPU, GPU
from tests.support.golden import assert_golden
from tests.support.made_up_scaling import LEFT_OUT, SPEEDS, scale_of


def test_efficiency_compares_a_rank_with_one_rank_in_the_same_round(tmp_path: Path) -> None:
    found = {(each.point.kind, each.point.together.ranks): each for each in of_one(tmp_path)}
    assert found["strong", 2].efficiency == pytest.approx([0.75, 0.75, 0.8])
    assert found["weak", 2].efficiency == pytest.approx([0.95, 0.9, 0.95])
    assert found["strong", 4].efficiency == pytest.approx([0.5, 0.55, 0.55])


def test_collectives_are_what_a_step_takes_beyond_one_of_a_share_trained_apart(tmp_path: Path) -> None:
    found = {(each.point.kind, each.point.together.ranks): each for each in of_one(tmp_path)}
    assert found[None, 1].collectives == []
    # 10 images together take 10 / 3000 s; 5 images on each of two ranks, 10 in all, 10 / 4000 s.
    assert found["strong", 2].collectives[1] == pytest.approx(1 - 3000 / 4000)
    # The shares of 10 images on 4 ranks are of 2 or 3; those of the slowest are 12 in all.
    assert found["strong", 4].collectives[1] == pytest.approx(1 - (12 / 7000) / (10 / 4400))
    assert found["weak", 2].collectives[0] == pytest.approx(1 - 1900 / 1880)  # below zero


def test_without_one_rank_or_a_trial_apart_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    (only,) = rows(scale_of(tmp_path, CPU, {("one", "strong", 2): ((1, 2, 3), ())}, {}))
    assert (only.efficiency, only.collectives) == ([], [])
    assert only.measurement.median == 2


def test_the_table_is_as_people_read_it(tmp_path: Path) -> None:
    texts = [
        markdown(scale_of(tmp_path, machine, SPEEDS, left_out), f"Measured on {machine.device}.")
        for machine, left_out in ((CPU, {}), (GPU, LEFT_OUT))
    ]
    assert_golden("scale.md", "\n".join(texts))


def test_the_file_holds_every_round(tmp_path: Path) -> None:
    scale = scale_of(tmp_path, CPU, SPEEDS, LEFT_OUT)
    assert rows(Scale.model_validate_json(scale.model_dump_json())) == rows(scale)


def of_one(folder: Path) -> list[Row]:
    return [
        each for each in rows(scale_of(folder, CPU, SPEEDS, {})) if each.measurement.cell.experiment == "one"
    ]
