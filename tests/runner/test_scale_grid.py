"""Which points `harness scale` has, and which of them cannot be measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.runner.bench.scale_grid import obstacle, points, powers_of_two
from tests.support.records import SUITE, suite_of


def test_strong_scaling_shares_the_suites_batch_and_weak_scaling_multiplies_it(tmp_path: Path) -> None:
    found = list(points(suite_of(tmp_path), "one", [1, 2, 3], 1000))
    assert [(each.kind, each.together.ranks, each.together.batch_size) for each in found] == [
        (None, 1, 10),
        ("strong", 2, 10),
        ("weak", 2, 20),
        ("strong", 3, 10),
        ("weak", 3, 30),
    ]
    assert {each.together.execution.placement for each in found[1:]} == {"ddp"}
    assert {str(each.together.execution.engine) for each in found} == {"None"}  # the device's default


def test_trials_apart_have_batches_of_the_largest_share_on_the_same_ranks(tmp_path: Path) -> None:
    found = list(points(suite_of(tmp_path), "one", [2, 3], 1000))
    assert [(each.apart.ranks, each.apart.batch_size) for each in found] == [
        (1, 10),
        (2, 5),
        (2, 10),
        (3, 4),
        (3, 10),
    ]
    assert {each.apart.execution.placement for each in found} == {"spread"}
    assert found[0].together == found[0].apart
    assert len({each.apart.group for each in found if each.kind != "strong"}) == 1  # the same trials


def test_an_experiment_is_measured_in_its_own_precision(tmp_path: Path) -> None:
    text = SUITE.replace("lr: 0.02}}", "lr: 0.02}, precision: bf16}")
    (only,) = points(suite_of(tmp_path, text), "two", [1], 1000)
    assert (only.together.experiment, only.together.precision) == ("two", "bf16")


def test_one_rank_is_measured_though_it_is_not_named(tmp_path: Path) -> None:
    assert [each.together.ranks for each in points(suite_of(tmp_path), "one", [4], 1000)] == [1, 4, 4]


@pytest.mark.parametrize(
    ("samples", "batch_size", "expected"),
    [
        (1000, 10, [None, None, None, None, None]),
        (30, 10, [None, None, None, None, "there are only 30 training samples"]),
        (15, 40, [None, None, *["there are only 15 training samples"] * 1, None, "there are only"]),
        (1000, 7, [None, None, None, "a rank's share would be a single sample", None]),
    ],
)
def test_what_the_training_set_or_the_batch_does_not_allow_has_its_reason(
    samples: int, batch_size: int, expected: list[str | None], tmp_path: Path
) -> None:
    suite = suite_of(tmp_path, SUITE.replace("batch_size: 10", f"batch_size: {batch_size}"))
    found = [obstacle(suite, each, samples) for each in points(suite, "one", [1, 2, 4], samples)]
    for why, text in zip(found, expected, strict=True):
        assert (why or "").startswith(text or "")
        assert (why is None) == (text is None)


def test_parts_of_a_step_need_two_samples_a_rank_each(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, SUITE.replace("batch_size: 10", "batch_size: 16\n    accumulate: 4"))
    found = {each.kind: obstacle(suite, each, 1000) for each in points(suite, "one", [4], 1000)}
    assert found == {None: None, "strong": "a rank's share would be a single sample", "weak": None}


def test_powers_of_two() -> None:
    assert [powers_of_two(most) for most in (1, 2, 6, 8)] == [[1], [1, 2], [1, 2, 4], [1, 2, 4, 8]]
