"""Figures of curves: means over seeds, their bands, published curves, one seed, one epoch, many epochs."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import pytest

from harness.config.suite import Trial
from harness.report.aggregate import SuiteResults
from harness.report.figures import figures
from harness.results.record import Record
from tests.support.drawn_figures import (
    CURVE,
    by_marker,
    comparison_of,
    contents_of,
    curves_of,
    dashed,
    intervals,
    learning,
    picture_of,
    solid,
    trained,
    words,
)
from tests.support.records import BEST_ON_VALIDATION, PUBLISHED, RUNS, SUITE


def test_curves_are_means_over_seeds_with_a_band_of_the_sample_standard_deviation(tmp_path: Path) -> None:
    contents = contents_of(tmp_path)
    left, right = picture_of(curves_of(contents)).axes
    (loss,), (train, test) = solid(left), solid(right)
    trials = [trial for trial in contents.suite.trials() if trial.experiment == "one"]
    for line, band, position, scale in (
        (loss, left.collections[0], 0, 1),
        (train, right.collections[0], 1, 100),
        (test, right.collections[1], 2, 100),
    ):
        columns = [[scale * learning(trial, epoch)[position] for trial in trials] for epoch in (1, 2)]
        means = [statistics.mean(each) for each in columns]
        stds = [statistics.stdev(each) for each in columns]
        assert list(line.get_xdata()) == [1, 2]
        assert list(line.get_ydata()) == pytest.approx(means)
        corners = {(float(x), round(float(y), 9)) for x, y in band.get_paths()[0].vertices}
        expected = [
            (e, m + sign * s) for e, m, s in zip((1, 2), means, stds, strict=True) for sign in (1, -1)
        ]
        assert corners >= {(float(epoch), round(value, 9)) for epoch, value in expected}
    assert left.get_xlabel() == right.get_xlabel() == "Epoch"
    assert (left.get_ylabel(), right.get_ylabel()) == ("Training loss (nats)", "Accuracy (%)")
    assert left.get_ylim()[0] == 0
    assert not dashed(left)


def test_training_and_testing_differ_without_colour(tmp_path: Path) -> None:
    _, right = picture_of(curves_of(contents_of(tmp_path, SUITE + PUBLISHED, curves=[CURVE]))).axes
    assert [line.get_marker() for line in solid(right)] == ["o", "s"]
    patterns = [tuple(line._unscaled_dash_pattern[1]) for line in dashed(right)]
    assert len(set(patterns)) == 2
    luminances = []
    for line in solid(right):
        red, green, blue = (int(line.get_color()[at : at + 2], 16) for at in (1, 3, 5))
        luminances.append(0.2126 * red + 0.7152 * green + 0.0722 * blue)
    assert luminances[1] - luminances[0] > 80


def test_published_curves_are_dashed_and_of_the_same_dataset_only(tmp_path: Path) -> None:
    contents = contents_of(tmp_path, SUITE + PUBLISHED, curves=[CURVE])
    left, right = (figure := picture_of(curves_of(contents))).axes
    assert [list(line.get_ydata()) for line in dashed(left)] == [CURVE.train_loss]
    assert [list(line.get_ydata()) for line in dashed(right)] == [[50, 60, 90], [40, 50, 81.25]]
    assert list(dashed(left)[0].get_xdata()) == CURVE.epoch
    assert left.get_xlim()[1] >= 3
    assert "published training | published testing" in words(figure)
    assert not dashed(picture_of(curves_of(contents, 1)).axes[0])

    elsewhere = (SUITE + PUBLISHED).replace("{name: kmnist,", "{name: fashion_mnist,")
    contents = contents_of(tmp_path, elsewhere, curves=[CURVE])
    figure = picture_of(curves_of(contents))
    assert not dashed(figure.axes[0])
    assert "published" not in words(figure) + figures(contents)[1].alt
    assert not by_marker(picture_of(comparison_of(contents)).axes[0], "D")


def test_each_published_run_is_a_thin_line(tmp_path: Path) -> None:
    runs = [CURVE.model_copy(update={"run": f"one-run-{number}"}) for number in (1, 2, 3)]
    thick = picture_of(curves_of(contents_of(tmp_path, SUITE + PUBLISHED, curves=[CURVE])))
    thin = picture_of(curves_of(contents_of(tmp_path, SUITE + RUNS, curves=runs)))
    assert [len(dashed(axes)) for axes in thin.axes] == [3, 6]
    assert dashed(thin.axes[0])[0].get_linewidth() < dashed(thick.axes[0])[0].get_linewidth()
    assert "published testing (3 runs)" in words(thin)


def test_one_seed_has_no_band(tmp_path: Path) -> None:
    contents = contents_of(tmp_path, SUITE.replace("seeds: 3", "seeds: [7]"))
    figure = picture_of(curves_of(contents))
    assert not any(axes.collections for axes in figure.axes)
    assert "1 seed" in words(figure)
    assert "std" not in words(figure)
    axes = picture_of(comparison_of(contents)).axes[0]
    assert not intervals(axes)
    assert len(by_marker(axes, "o")) == 2


def test_one_epoch_shows_a_point_and_its_spread(tmp_path: Path) -> None:
    curve = CURVE.model_copy(
        update={"epoch": [1], "train_loss": [0.9], "train_accuracy": [0.5], "test_accuracy": [0.4]}
    )
    text = (SUITE + PUBLISHED).replace("epochs: 2", "epochs: 1")
    left, right = picture_of(curves_of(contents_of(tmp_path, text, curves=[curve]))).axes
    for axes in (left, right):
        assert all(line.get_marker() not in ("None", "") for line in axes.lines)
        assert [list(axes.get_xticks())] == [[1]]
    ((low, high),) = left.collections[0].get_segments()
    mean = solid(left)[0].get_ydata()[0]
    assert (low[1] + high[1]) / 2 == pytest.approx(mean)
    assert high[1] > mean


def test_many_epochs_have_few_markers_and_the_last_is_one(tmp_path: Path) -> None:
    figure = picture_of(curves_of(contents_of(tmp_path, SUITE.replace("epochs: 2", "epochs: 203"))))
    (line,) = solid(figure.axes[0])
    marked = list(range(203))[line.get_markevery()]
    assert 8 <= len(marked) <= 12
    assert marked[-1] == 202
    assert len(line.get_ydata()) == 203


def stopped(trial: Trial) -> Record:
    """Return a record of a trial that stopped early, one epoch for each number of its seed."""
    record = trained(trial, learning)
    return record.model_copy(update={"epochs": record.epochs[: trial.seed]})


EARLY = SUITE.replace("epochs: 2", "epochs: 3\n    early_stopping: {patience: 1}")


def test_seeds_that_ended_at_different_epochs_count_where_they_are(tmp_path: Path) -> None:
    contents = contents_of(tmp_path, EARLY, without={("one", 1): stopped, ("one", 2): stopped})
    curves = curves_of(contents)
    losses = {trial.seed: [learning(trial, epoch)[0] for epoch in (1, 2, 3)] for trial in trials_of(contents)}
    columns = [
        [losses[1][0], losses[2][0], losses[3][0]],
        [losses[2][1], losses[3][1]],
        [losses[3][2]],
    ]
    assert curves.train_loss.mean == pytest.approx([statistics.mean(each) for each in columns])
    assert curves.train_loss.high is not None
    spreads = [high - mean for high, mean in zip(curves.train_loss.high, curves.train_loss.mean, strict=True)]
    assert spreads[:2] == pytest.approx([statistics.stdev(each) for each in columns[:2]])
    assert math.isnan(spreads[2])  # one seed has no spread
    last = [values[seed - 1] for seed, values in losses.items()]
    assert curves.alt().startswith(
        "Curves of one over 1 to 3 epochs, 3 seeds. The seeds ended at different epochs; each mean is over"
        " those that reached it. At each seed's last epoch: training loss "
        f"{statistics.mean(last):.5f} ± {statistics.stdev(last):.5f}, "
    )
    figure = picture_of(curves)
    assert "over 3 seeds of 1 to 3 epochs" in words(figure)
    assert list(solid(figure.axes[0])[0].get_ydata()) == pytest.approx(list(curves.train_loss.mean))
    assert "3 seeds. At the end: " in curves_of(contents, 1).alt()


def trials_of(contents: SuiteResults) -> list[Trial]:
    return [each.trial for each in contents.rows[0].entries]


def test_the_words_are_on_the_epoch_that_counts(tmp_path: Path) -> None:
    def best_first(trial: Trial) -> Record:
        record = trained(trial, learning)
        epochs = [
            each.model_copy(
                update={"others": {"validation_loss": 1.0, "validation_accuracy": 1 / each.epoch}}
            )
            for each in record.epochs
        ]
        return record.model_copy(update={"epochs": epochs})

    contents = contents_of(
        tmp_path, BEST_ON_VALIDATION, without={("one", seed): best_first for seed in (1, 2, 3)}
    )
    first = statistics.mean(learning(trial, 1)[0] for trial in trials_of(contents))
    curves = curves_of(contents)
    assert curves.train_loss.mean[0] == pytest.approx(first)
    assert f"3 seeds. At each seed's best epoch on validation: training loss {first:.5f} ±" in curves.alt()
