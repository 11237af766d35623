"""Pictures: what they show of the records, and that the same records give the same bytes anywhere."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness import stats
from harness.config.suite import PublishedCurve, Trial
from harness.report.aggregate import Entry, Row, SuiteResults
from harness.report.figures import digest_in, figures
from harness.report.figures.comparison import Comparison
from harness.report.figures.curves import Curves
from harness.results.record import Epoch, Record
from harness.results.store import Found, Store
from tests.support import ROOT
from tests.support.records import PUBLISHED, RUNS, SUITE, diverged_of, failed_of, record_of, suite_of

ONE = SUITE.partition("  two:")[0]
CURVE = PublishedCurve(
    run="one",
    epoch=[1, 2, 3],
    train_loss=[0.9, 0.7, 0.6],
    train_accuracy=[0.5, 0.6, 0.9],
    test_accuracy=[0.4, 0.5, 0.8125],
)
Figures = Callable[[Trial, int], tuple[float, float, float]]


def learning(trial: Trial, epoch: int) -> tuple[float, float, float]:
    """Return loss and accuracies that differ between experiments, seeds and epochs."""
    shift = 0.01 * trial.seed**2 + 0.02 * (trial.experiment == "two")
    return 1 / epoch + shift, 0.6 + 0.04 * epoch + shift, 0.55 + 0.05 * epoch - shift


def trained(trial: Trial, figures_of: Figures) -> Record:
    epochs = []
    for epoch in range(1, trial.settings.training.epochs + 1):
        loss, train, test = figures_of(trial, epoch)
        epochs.append(
            Epoch(
                epoch=epoch,
                lr=0.01,
                train_loss=loss,
                train_accuracy=train,
                test_loss=1.0,
                test_accuracy=test,
                train_seconds=1.0,
                eval_seconds=1.0,
            )
        )
    return record_of(trial, epochs=epochs)


def contents_of(
    folder: Path,
    text: str = SUITE,
    figures_of: Figures = learning,
    without: Mapping[tuple[str, int], Callable[[Trial], Record | None]] | None = None,
    curves: Sequence[PublishedCurve] = (),
) -> SuiteResults:
    """Return what a report shows of a suite with these figures, and `without` in place of some trials."""
    suite = suite_of(folder, text)
    published = suite.published.experiments if suite.published else {}
    entries: dict[str, list[Entry]] = {name: [] for name in suite.experiments}
    for trial in suite.trials():
        key = trial.experiment, trial.seed
        make = (without or {}).get(key)
        record = make(trial) if make else trained(trial, figures_of)
        found = Found(trial, record.status if record else "left", record)
        entries[trial.experiment].append(Entry.of(found, trial.key))
    rows = [
        Row(name, its, published.get(name), curves if name == "one" else ()) for name, its in entries.items()
    ]
    return SuiteResults(suite, rows)


def missing(trial: Trial) -> None:
    """Leave no record of the trial."""


def curves_of(contents: SuiteResults, row: int = 0) -> Curves:
    found = Curves.of(contents, contents.rows[row])
    assert found is not None
    return found


def comparison_of(contents: SuiteResults) -> Comparison:
    found = Comparison.of(contents)
    assert found is not None
    return found


def picture_of(shown: Curves | Comparison) -> Any:
    """Build the picture as `draw` does, and draw it, so that a warning would be an error."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from harness.report.figures import comparison_plot, curves_plot, style

    with style.style():
        build: Any = curves_plot if isinstance(shown, Curves) else comparison_plot
        figure = build.picture(shown)
        FigureCanvasAgg(figure).draw()
    return figure


def solid(axes: Any) -> list[Any]:
    return [line for line in axes.lines if line.get_linestyle() == "-"]


def dashed(axes: Any) -> list[Any]:
    return [line for line in axes.lines if line.get_linestyle() == "--"]


def words(figure: Any) -> str:
    from matplotlib.text import Text

    return " | ".join(found.get_text() for found in figure.findobj(Text) if found.get_text())


def by_marker(axes: Any, marker: object) -> list[Any]:
    """Return the points of the lines that have this marker."""
    return [
        (float(x), float(y))
        for line in axes.lines
        if line.get_marker() == marker
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]


def intervals(axes: Any) -> list[tuple[float, float]]:
    return [
        (float(ends[0][0]), float(ends[1][0])) for each in axes.collections for ends in each.get_segments()
    ]


def test_a_suite_may_do_without(tmp_path: Path) -> None:
    text = SUITE + "table: {figures: false}\n"
    assert figures(contents_of(tmp_path, text)) == []


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


def test_only_what_is_done_is_drawn_and_of_how_many_is_said(tmp_path: Path) -> None:
    without = {
        ("one", 2): diverged_of,
        ("one", 3): failed_of,
        **{("two", seed): missing for seed in (1, 2, 3)},
    }
    text = (SUITE + PUBLISHED).replace("    one:", "    two: {test_accuracy: 0.7}\n    one:")
    contents = contents_of(tmp_path, text, without=without)
    found = figures(contents)
    assert [each.path for each in found] == ["comparison", "one/curves"]
    assert "one 64.00 % (1 of 3 seeds, published 81.25 %)" in found[0].alt
    assert "two none done (0 of 3 seeds, published 70.00 %)" in found[0].alt
    assert "1 of 3 seeds" in found[1].alt
    figure = picture_of(comparison_of(contents))
    assert by_marker(figure.axes[0], "D") == [(81.25, 0), (70, 1)]
    assert by_marker(figure.axes[0], "o") == [(pytest.approx(64), 0)]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["one", "two"]
    assert "0 of 3 seeds" in words(figure)
    assert "1 of 3 seeds" in words(figure)
    figure = picture_of(curves_of(contents))
    assert "1 of 3 seeds" in words(figure)
    assert not figure.axes[0].collections


def test_nothing_done_is_no_picture(tmp_path: Path) -> None:
    nothing = {(name, seed): missing for name in ("one", "two") for seed in (1, 2, 3)}
    assert figures(contents_of(tmp_path, SUITE + PUBLISHED, without=nothing)) == []


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


def test_the_words_are_those_of_the_figures(tmp_path: Path) -> None:
    found = figures(contents_of(tmp_path, ONE + PUBLISHED, curves=[CURVE]))
    assert found[0].alt == ("Final testing accuracy: one 60.33 % ± 4.04 % (3 seeds, published 81.25 %).")
    assert found[1].alt == (
        "Curves of one over 2 epochs, 3 seeds. At the end: training loss 0.54667 ± 0.04041, "
        "training accuracy 72.67 % ± 4.04 %, testing accuracy 60.33 % ± 4.04 %; "
        "published testing accuracy 81.25 % (dashed)."
    )


def test_the_comparison_comes_first_and_each_holds_its_digest(tmp_path: Path) -> None:
    found = figures(contents_of(tmp_path, SUITE + PUBLISHED, curves=[CURVE]))
    assert [each.path for each in found] == ["comparison", "one/curves", "two/curves"]
    assert len({each.digest for each in found}) == 3
    for each in found:
        drawn = each.draw()
        assert list(drawn) == ["svg", "png"]
        assert drawn["svg"].startswith(b"<?xml")
        assert b"<text" not in drawn["svg"]
        assert b"date" not in drawn["svg"]
        assert drawn["png"].startswith(b"\x89PNG")
        assert b"tEXtDescription\x00harness-digest:" in drawn["png"]
        assert all(digest_in(content) == each.digest for content in drawn.values())
    assert digest_in(b"<svg/>") is None


def changed(epoch: int, position: int) -> Figures:
    """Return the figures of `learning` with one of them, of one seed, changed a little."""

    def figures_of(trial: Trial, at: int) -> tuple[float, float, float]:
        values = list(learning(trial, at))
        if (trial.experiment, trial.seed, at) == ("one", 2, epoch):
            values[position] += 1e-6
        return values[0], values[1], values[2]

    return figures_of


@pytest.mark.parametrize(
    ("epoch", "position", "different"),
    [
        (1, 0, [False, True, False]),
        (2, 1, [False, True, False]),
        (1, 2, [False, True, False]),
        (2, 2, [True, True, False]),
    ],
)
def test_a_changed_figure_changes_the_digests_of_what_shows_it(
    epoch: int, position: int, different: list[bool], tmp_path: Path
) -> None:
    before = [each.digest for each in figures(contents_of(tmp_path))]
    after = [each.digest for each in figures(contents_of(tmp_path, SUITE, changed(epoch, position)))]
    assert [old != new for old, new in zip(before, after, strict=True)] == different


def test_a_changed_published_figure_changes_a_digest(tmp_path: Path) -> None:
    text = SUITE + PUBLISHED
    before = [each.digest for each in figures(contents_of(tmp_path, text, curves=[CURVE]))]
    other = CURVE.model_copy(update={"test_accuracy": [0.4, 0.51, 0.8125]})
    curve = [each.digest for each in figures(contents_of(tmp_path, text, curves=[other]))]
    assert [old != new for old, new in zip(before, curve, strict=True)] == [False, True, False]
    mean = figures(contents_of(tmp_path, text.replace("0.8125", "0.8126"), curves=[CURVE]))
    assert [old != new.digest for old, new in zip(before, mean, strict=True)] == [True, False, False]


def test_the_last_digits_of_a_float_change_no_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nudged(trial: Trial, epoch: int) -> tuple[float, float, float]:
        loss, train, test = learning(trial, epoch)
        return math.nextafter(loss, 1), math.nextafter(train, 1), math.nextafter(test, 0)

    monkeypatch.setattr(stats, "t_quantile", None)
    before = figures(contents_of(tmp_path))
    assert [each.digest for each in before] == [
        each.digest for each in figures(contents_of(tmp_path, SUITE, nudged))
    ]


PROGRAM = """
import hashlib, sys
from pathlib import Path
from harness.report.aggregate import SuiteResults
from harness.report.figures import figures
from harness.results.store import Store

found = figures(SuiteResults.of(Store(Path(sys.argv[1])), "small"))
heavy = {"matplotlib", "scipy", "torch"} & set(sys.modules)
assert not heavy, heavy
for each in found:
    for suffix, content in each.draw().items():
        print(each.path, each.digest, suffix, hashlib.sha256(content).hexdigest())
assert "matplotlib.pyplot" not in sys.modules
"""
HOSTILE = """\
axes.facecolor: black
axes.formatter.use_locale: True
backend: TkAgg
font.family: serif
font.size: 31
lines.linewidth: 9
path.sketch: 1, 100, 2
savefig.bbox: tight
savefig.dpi: 30
svg.fonttype: none
svg.hashsalt: other
text.usetex: True
"""


def test_the_bytes_are_the_same_whatever_the_surroundings(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, ONE + PUBLISHED)
    store = Store(tmp_path / "results")
    store.save_suite(suite)
    for trial in suite.trials():
        store.save(trial, trained(trial, learning))
    (tmp_path / "matplotlibrc").write_text(HOSTILE, encoding="utf-8")
    surroundings = [
        {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "1"},
        {
            "LC_ALL": "C",
            "TZ": "Asia/Tokyo",
            "PYTHONHASHSEED": "2",
            "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"),
            "SOURCE_DATE_EPOCH": "1",
        },
    ]
    said = []
    for own in surroundings:
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", PROGRAM, str(store.root)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), **own},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        said.append(run.stdout.splitlines())
    assert said[0] == said[1]
    assert len(said[0]) == 4


def test_drawing_leaves_the_settings_of_matplotlib_alone(tmp_path: Path) -> None:
    import matplotlib as mpl

    before = [(key, value) for key, value in mpl.rcParams.items() if not key.startswith("backend")]
    figures(contents_of(tmp_path))[0].draw()
    assert before == [(key, value) for key, value in mpl.rcParams.items() if not key.startswith("backend")]
