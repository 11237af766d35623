"""Made-up results to draw, their figures as matplotlib holds them, and what these show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.config.published import PublishedCurve
from harness.config.suite import Trial
from harness.report.aggregate import Entry, Row, SuiteResults
from harness.report.figures.comparison import Comparison
from harness.report.figures.curves import Curves
from harness.results.record import Epoch, Record
from harness.results.store import Found
from tests.support.records import SUITE, record_of, suite_of

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
