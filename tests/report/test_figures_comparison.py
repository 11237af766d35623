"""Figures that compare experiments: seeds, means, intervals, published means, limits, many experiments."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from harness import stats
from harness.report.figures import Figure, figures
from tests.support.drawn_figures import (
    by_marker,
    comparison_of,
    contents_of,
    curves_of,
    intervals,
    missing,
    picture_of,
    words,
)
from tests.support.filled_stores import ONE
from tests.support.records import BEST_ON_VALIDATION, PUBLISHED, RUNS, SUITE


def test_the_comparison_shows_seeds_means_intervals_and_published_means(tmp_path: Path) -> None:
    contents = contents_of(tmp_path, SUITE + RUNS)
    figure = picture_of(comparison_of(contents))
    (axes,) = figure.axes
    expected: list[Any] = []
    for row, (low, high) in zip(contents.rows, intervals(axes), strict=True):
        values = [100 * each.last("test_accuracy") for each in row.done]
        summary = stats.summary(values)
        assert summary.interval() == pytest.approx((low, high))
        expected.append((pytest.approx(summary.mean), len(expected)))
    shown = by_marker(axes, "o")
    assert shown[6:] == expected
    assert [x for x, _ in shown[:6]] == pytest.approx(
        [100 * each.last("test_accuracy") for row in contents.rows for each in row.done]
    )
    assert by_marker(axes, "D") == [(pytest.approx(81), 0)]
    assert axes.get_xlabel() == "Final testing accuracy (%)"
    assert axes.get_ylim() == (1.5, -0.5)
    assert "3 seeds each" in words(figure)


def test_one_experiment_is_compared_with_the_published_one(tmp_path: Path) -> None:
    axes = picture_of(comparison_of(contents_of(tmp_path, ONE + PUBLISHED))).axes[0]
    assert by_marker(axes, "D") == [(81.25, 0)]


def test_it_names_the_epochs_that_count(tmp_path: Path) -> None:
    texts = {
        "last epoch": SUITE,
        "best epoch on validation": BEST_ON_VALIDATION,
        "last epoch or the best epoch on validation": BEST_ON_VALIDATION.replace(
            "lr: 0.02}", "lr: 0.02}, epoch: last"
        ),
    }
    found = {name: comparison_of(contents_of(tmp_path, text)) for name, text in texts.items()}
    for name, shown in found.items():
        assert f"kmnist, {name}, 3 seeds each" in words(picture_of(shown))
    digests = {Figure(dataclasses.replace(shown, dataset="")).digest for shown in found.values()}
    assert len(digests) == 3  # the words are in the picture


@pytest.mark.parametrize("accuracy", [1.0, 0.0, 0.5])
def test_equal_values_and_bounds_are_in_sight(accuracy: float, tmp_path: Path) -> None:
    contents = contents_of(tmp_path, SUITE, lambda trial, epoch: (0.0, accuracy, accuracy))
    _, right = picture_of(curves_of(contents)).axes
    axes = picture_of(comparison_of(contents)).axes[0]
    for low, high in (right.get_ylim(), axes.get_xlim()):
        assert low < 100 * accuracy < high
        assert 0.5 <= high - low <= 1.2
    for ticks in (right.get_yticks(), axes.get_xticks()):
        assert len(ticks) >= 2
        assert all(0 <= tick <= 100 for tick in ticks)


def test_wide_intervals_do_not_crush_the_values(tmp_path: Path) -> None:
    text = SUITE.replace("seeds: 3", "seeds: 2")
    contents = contents_of(tmp_path, text, lambda trial, epoch: (1.0, 0.8, 0.8 + 0.04 * trial.seed))
    axes = picture_of(comparison_of(contents)).axes[0]
    low, high = axes.get_xlim()
    assert high - low < 13
    assert all(start < low and end > high for start, end in intervals(axes))
    from matplotlib.markers import CARETLEFT, CARETRIGHT

    for marker, edge in ((CARETLEFT, low), (CARETRIGHT, high)):
        assert by_marker(axes, marker) == [(edge, 0), (edge, 1)]


def test_a_matrix_of_a_hundred_is_bounded_and_partly_named(tmp_path: Path) -> None:
    rates = ", ".join(str(round(0.001 * number, 3)) for number in range(1, 51))
    text = ONE.replace(
        "  one:\n", f"  grid: {{matrix: {{training.optimizer.lr: [{rates}], model.dropout: [0, 0.5]}}}}\n"
    )
    contents = contents_of(tmp_path, text, without={("grid-lr=0.002,dropout=0", 2): missing})
    assert len(contents.rows) == 100
    figure = picture_of(comparison_of(contents))
    (axes,) = figure.axes
    assert figure.get_size_inches()[1] < 14
    assert len(intervals(axes)) == 100
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [row.name for row in contents.rows][::2]
    assert "2 to 3 seeds" in words(figure)
    drawn = figures(contents)[0].draw()
    assert len(drawn["png"]) < 150_000
    assert "100 experiments, from grid-lr=" in figures(contents)[0].alt


def test_of_very_many_experiments_the_means_are_left(tmp_path: Path) -> None:
    rates = ", ".join(str(round(0.001 * number, 3)) for number in range(1, 152))
    text = ONE.replace("  one:\n", f"  grid: {{matrix: {{training.optimizer.lr: [{rates}]}}}}\n")
    figure = picture_of(comparison_of(contents_of(tmp_path, text)))
    assert len(by_marker(figure.axes[0], "o")) == len(intervals(figure.axes[0])) == 151
    assert "one seed" not in words(figure)


def test_exceptions_say_over_how_many_seeds_they_are(tmp_path: Path) -> None:
    figure = picture_of(comparison_of(contents_of(tmp_path, SUITE, without={("two", 1): missing})))
    assert [note.get_text() for note in figure.axes[0].texts] == ["2 of 3 seeds"]
    assert "3 seeds each unless said" in words(figure)


@pytest.mark.parametrize("name", ["a" * 100, "grid-" + "key=0.125," * 9 + "z=1"])
def test_long_names_leave_room(name: str, tmp_path: Path) -> None:
    contents = contents_of(tmp_path, SUITE.replace("  one:", f"  {name}:"))
    figure = picture_of(comparison_of(contents))
    box = figure.axes[0].get_position()
    assert box.width > 0.45
    renderer = figure.canvas.get_renderer()
    assert all(label.get_window_extent(renderer).x0 >= 0 for label in figure.axes[0].get_yticklabels())
    curves = picture_of(curves_of(contents))
    assert all(
        text.get_window_extent(curves.canvas.get_renderer()).x1 <= curves.bbox.x1 for text in curves.texts
    )
