"""What `harness bench --count` writes, and the limits of cards."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.config.loader import load_suite
from harness.config.overrides import Assignment
from harness.runner.bench.count import rows_of, write_counts
from harness.runner.bench.count_table import Count, CountRow, markdown
from harness.runner.bench.roofline import CARDS, limit
from harness.runner.request import Request
from harness.training.operations import StepCount
from tests.support.golden import assert_golden
from tests.support.records import suite_of
from tests.support.suite_mistakes import GOOD
from tests.support.trials import small_dataset

STEP = StepCount(
    operations=1328,
    hashing=92,
    casting=3,
    bytes=3_914_598_776,
    flops=45_334_003_712,
    collectives=27,
    exchanged_bytes=2_910_300,
)


def row(name: str, cards: list[str], step: StepCount = STEP, precision: str = "fp32") -> CountRow:
    limits = [limit(card, precision, 128, step.bytes, step.flops) for card in cards]  # type: ignore[arg-type]
    return CountRow(experiment=name, precision=precision, batch_size=128, step=step, limits=limits)  # type: ignore[arg-type]


def test_the_lower_limit_binds() -> None:
    of_bytes, of_flops = limit("h100", "fp32", 128, 10**9, 10**6), limit("h100", "fp32", 128, 10**6, 10**9)
    assert of_bytes.binding == of_bytes.by_memory == 128 * 3.35e12 / 1e9
    assert of_flops.binding == of_flops.by_matrix_rate == 128 * 67e12 / 1e9


def test_a_rate_that_is_not_published_limits_nothing() -> None:
    found = limit("l4", "fp64", 128, 10**9, 10**12)
    assert (found.by_matrix_rate, found.binding) == (None, found.by_memory)
    assert limit("l4", "fp32", 128, 10**9, 0).by_matrix_rate is None  # of a model without products


@pytest.mark.parametrize("name", CARDS)
def test_a_rate_is_higher_the_lower_the_precision(name: str) -> None:
    rates = [CARDS[name].flops_per_second.get(each, 0.0) for each in ("fp64", "fp32", "tf32", "bf16")]
    assert sorted(rates) == rates


def test_the_table_is_as_people_read_it() -> None:
    light = STEP.model_copy(update={"bytes": 30_000_000, "casting": 118})
    rows = [
        row("final", list(CARDS)),
        row("final", list(CARDS), light, "bf16"),
        row("a|b *c*", list(CARDS), light, "fp64"),
    ]
    found = Count(suite="small", torch="2.14.1", rows=rows)
    alone = Count(suite="small", torch="2.14.1", rows=[row("final", ["h100"])])
    assert_golden("bench-count.md", f"{markdown(found)}\n{markdown(alone)}")


def test_experiments_are_counted_in_fp32_bf16_and_their_own_precision(tmp_path: Path) -> None:
    suite = suite_of(tmp_path)
    (tmp_path / "own").mkdir()
    own = suite_of(tmp_path / "own").experiments["two"]
    own = own.model_copy(update={"training": own.training.model_copy(update={"precision": "fp64"})})
    suite = suite.model_copy(update={"experiments": {**suite.experiments, "two": own}})
    rows = list(rows_of(suite, ["one", "two"], small_dataset(), "auto", ["h100"]))
    named = [("one", "fp32"), ("one", "bf16"), ("two", "fp32"), ("two", "bf16"), ("two", "fp64")]
    assert [(each.experiment, each.precision) for each in rows] == named
    assert rows[-1].step.bytes > rows[-3].step.bytes


@pytest.mark.e2e
def test_the_files_are_the_same_each_time(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    (tmp_path / "suite.yaml").write_text(GOOD, encoding="utf-8")
    suite = load_suite(tmp_path / "suite.yaml", [Assignment.parse("training.batch_size=16")])
    texts = []
    for folder in ("first", "second"):
        request = Request([suite], only=["two"], results=tmp_path / folder)
        shown = write_counts(request, ["a100"], os.environ)
        path = tmp_path / folder / "bench" / "count" / f"{suite.folder}.md"
        assert shown == f"{path.read_text(encoding='utf-8')}\n({path})"
        texts.append([path.read_bytes(), path.with_suffix(".json").read_bytes()])
        assert {each.parent for each in (tmp_path / folder).rglob("*.*")} == {path.parent}
    assert texts[0] == texts[1]
    found = Count.model_validate_json(texts[0][1])
    assert [(each.experiment, each.batch_size) for each in found.rows] == [("two", 16)] * 2
