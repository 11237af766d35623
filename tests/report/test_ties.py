"""Halves are rounded up wherever a figure is shown, by whole images; intervals end at 0 and 100 %."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import product
from math import isqrt
from pathlib import Path

import pytest

from harness.formatting import half_up, percent
from harness.report import csv_export, latex, markdown
from harness.report.aggregate import SuiteResults
from harness.report.figures.comparison import Comparison
from harness.report.figures.curves import Curves
from harness.report.html import page
from harness.report.table import layout
from harness.results.store import Store
from harness.tracking.console import epoch_line
from tests.support.comparison_cases import Harness, made, rows_of
from tests.support.filled_stores import ONE
from tests.support.records import record_of, suite_of

IMAGES = {"kmnist": (60_000, 10_000), "kmnist_sample": (8_000, 2_000)}
TWO = ONE.replace("seeds: 3", "seeds: 2")
PUBLISHED = "published: {{dataset: kmnist, source: s, experiments: {{one: {{test_accuracy: {}}}}}}}\n"


def by_hand(value: Fraction, digits: int = 2) -> str:
    """Round a non-negative number by whole numbers alone."""
    whole = (2 * value * 10**digits + 1) // 2
    return f"{Decimal(int(whole)).scaleb(-digits)}"


def root_by_hand(value: Fraction, digits: int = 2) -> str:
    """Round a square root by whole numbers alone."""
    return f"{Decimal((isqrt(int(4 * value * 100**digits)) + 1) // 2).scaleb(-digits)}"


def contents_of(
    folder: Path, train: Sequence[int], test: Sequence[int], name: str = "kmnist", more: str = ""
) -> SuiteResults:
    """Return results of one experiment whose seeds have so many images right at the end."""
    text = ONE.replace("name: kmnist", f"name: {name}").replace("seeds: 3", f"seeds: {len(test)}") + more
    suite = suite_of(folder, text)
    store = Store(folder / "results")
    store.save_suite(suite)
    of_train, of_test = IMAGES[name]
    for trial, right_train, right_test in zip(suite.trials(), train, test, strict=True):
        record = record_of(trial)
        figures = {"train_accuracy": right_train / of_train, "test_accuracy": right_test / of_test}
        epochs = [*record.epochs[:-1], record.epochs[-1].model_copy(update=figures)]
        store.save(trial, record.model_copy(update={"epochs": epochs}))
    return SuiteResults.of(store, "small")


def cells(contents: SuiteResults) -> dict[str, str]:
    table = layout(contents)
    return dict(zip(table.header, (cell.text for cell in table.lines[-1]), strict=True))


@pytest.mark.parametrize("name", IMAGES)
def test_means_and_spreads_are_those_of_whole_images(name: str, tmp_path: Path) -> None:
    of_train, of_test = IMAGES[name]
    cases = [[first, first + step] for first, step in product((1234, 1511, 7, 0), (0, 1, 3, 5, 7, 9))]
    cases += [[first, first + 25, first + 50] for first in (1201, 900, 33)]
    cases += [[101, 102, 104, 104], [1999, 2000, 1999, 2000], [1, 2, 3, 5]]
    for number, test in enumerate(cases):
        train = [3 * each + 3 for each in test]
        (tmp_path / f"{number}").mkdir()
        found = cells(contents_of(tmp_path / f"{number}", train, test, name))
        for column, counts, images in (("training", train, of_train), ("testing", test, of_test)):
            values = [100 * Fraction(each, images) for each in counts]
            mean = sum(values) / len(values)
            variance = sum((each - mean) ** 2 for each in values) / (len(values) - 1)
            expected = f"{by_hand(Fraction(mean))} % ± {root_by_hand(Fraction(variance))} % ({len(values)})"
            assert found[f"Final {column} accuracy"] == expected, counts


def test_a_spread_that_is_a_tie_is_rounded_up(tmp_path: Path) -> None:
    found = cells(contents_of(tmp_path, [100, 110, 120], [100, 101, 102], "kmnist_sample"))
    assert found["Final training accuracy"] == "1.38 % ± 0.13 % (3)"  # 1.375 and 0.125


def test_what_is_equal_in_images_is_equally_good(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, ONE.replace("seeds: 3", "seeds: 2") + "  two: {model: {hidden: [16]}}\n")
    store = Store(tmp_path / "results")
    store.save_suite(suite)
    accuracies = iter([0.1001, 0.3004, 0.2001, 0.2004])
    for trial in suite.trials():
        store.save(trial, record_of(trial, next(accuracies)))
    table = layout(SuiteResults.of(store, "small"))
    assert [line[5].bold for line in table.lines] == [True, True]


@pytest.mark.parametrize(
    ("published", "shown", "difference"),
    [
        ("0.81235", "81.24 %", "+0.02"),  # 0.8125 - 0.81235 = 0.00015
        ("[0.8123, 0.8124]", "81.24 %", "+0.02"),
        ("0.81265", "81.27 %", "-0.02"),
        ("0.81245", "81.25 %", "+0.01"),
        ("0.8125", "81.25 %", "+0.00"),
    ],
)
def test_published_figures_are_taken_as_written(
    published: str, shown: str, difference: str, tmp_path: Path
) -> None:
    more = PUBLISHED.format(published).replace("source: s", f"source: s, runs: {1 + published.count(',')}")
    found = cells(contents_of(tmp_path, [1, 1], [8124, 8126], more=more))
    assert found["Published (loss / training / testing)"] == f"– / – / {shown}"
    assert found["Difference (points)"].startswith(f"{difference} (")


def test_the_words_of_figures_and_of_a_run_are_rounded_alike(tmp_path: Path) -> None:
    contents = contents_of(tmp_path, [3, 3], [1234, 1235])
    comparison, curves = Comparison.of(contents), Curves.of(contents, contents.rows[0])
    assert comparison
    assert curves
    assert "one 12.35 % ± 0.01 %" in comparison.alt()
    assert "training accuracy 0.01 % ± 0.00 %, testing accuracy 12.35 % ± 0.01 %" in curves.alt()
    event = {"trial": "t", "epoch": 1, "epochs": 1, "train_loss": 1.0, "samples_per_second": 1.0}
    line = epoch_line({**event, "train_accuracy": 3 / 60_000, "test_accuracy": 0.12345})
    assert "train 0.01 %  test 12.35 %" in line
    assert "nan %" in epoch_line({**event, "train_accuracy": float("nan"), "test_accuracy": 0.0})


def test_a_comparison_rounds_alike(harness: Harness) -> None:
    made(
        "a", ONE.replace("seeds: 3", "seeds: 2"), lambda trial: record_of(trial, [0.0, 0.5, 0.5][trial.seed])
    )
    made(
        "b", ONE.replace("seeds: 3", "seeds: 2"), lambda trial: record_of(trial, [0, 0.5001, 0.5][trial.seed])
    )
    row = rows_of(harness("compare", "a", "b")[1])[0]
    assert row[3].startswith("50.005 % ± 0.007 %")
    assert row[5].startswith("+0.005 points (-0.059 to +0.069)")


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.125, 2, "0.13"),
        (0.375, 2, "0.38"),
        (-0.125, 2, "-0.13"),
        (2.675, 2, "2.68"),
        (-0.001, 2, "0.00"),
        (1e300, 1, f"{10**300}.0"),
        (5e-324, 2, "0.00"),
        (float("inf"), 2, "inf"),
    ],
)
def test_halves_are_rounded_up(value: float, digits: int, text: str) -> None:
    assert half_up(value, digits) == text


def test_a_percentage_is_rounded_once() -> None:
    assert [percent(each) for each in (0.12345, 0.00005, 0.99995, 1.0, 0.0)] == [
        "12.35 %",
        "0.01 %",
        "100.00 %",
        "100.00 %",
        "0.00 %",
    ]
    for count in range(0, 20_001, 7):
        exact = 100 * Decimal(count) / 20_000
        assert percent(count / 20_000) == f"{exact.quantize(Decimal('0.01'), ROUND_HALF_UP)} %"


@pytest.mark.parametrize(
    ("test", "shown"), [([0, 9], "0.00 to 0.62 %"), ([10_000, 9_990], "99.31 to 100.00 %")]
)
def test_an_interval_ends_where_accuracies_do(test: list[int], shown: str, tmp_path: Path) -> None:
    contents = contents_of(tmp_path, [1, 1], test, more=PUBLISHED.format(0.5))
    table = layout(contents)
    assert cells(contents)["95 % interval of its mean"] == shown
    for text in (markdown.document(table), latex.document(table).replace("~", " ").replace("\\", "")):
        assert shown in text
        assert "Student's t, cut off at 0 and 100 %." in text
    assert shown in page([contents], [table], lambda path: None).replace("\N{NO-BREAK SPACE}", " ")
    header, row = (line.split(",") for line in csv_export.table(contents).splitlines())
    bounds = [float(row[header.index(f"test_accuracy_{side}_95")]) for side in ("low", "high")]
    assert 0 <= bounds[0] < bounds[1] <= 1
    comparison = Comparison.of(contents)
    assert comparison
    drawn = comparison.lines[0].interval()
    assert drawn
    assert 0 <= drawn[0] < drawn[1] <= 100


def test_a_difference_is_at_most_a_hundred_points(tmp_path: Path, harness: Harness) -> None:
    contents = contents_of(tmp_path, [1, 1], [0, 10_000], more=PUBLISHED.format(0.5))
    assert cells(contents)["Difference (points)"] == "+0.00 (-100.00 to +100.00)"
    made("a", TWO, lambda trial: record_of(trial, trial.seed - 1.0))
    made("b", TWO, lambda trial: record_of(trial, 2.0 - trial.seed))
    assert "(-100.000 to +100.000)" in rows_of(harness("compare", "a", "b")[1])[0][5]


def test_an_interval_that_is_whole_is_not_called_cut(tmp_path: Path) -> None:
    assert "cut off" not in markdown.document(layout(contents_of(tmp_path, [1, 1], [5000, 5010])))
