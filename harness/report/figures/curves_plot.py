"""Learning-curve figure of one experiment: training loss and both accuracies by epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, MaxNLocator

from harness.report.figures.curves import Band, Curves, seeds
from harness.report.figures.style import BLUE, GREY, ORANGE, WIDTH, heading, legend

_HEIGHT = 2.9
_MARKED = 12  # more epochs than this have a marker at some of them only
_TRAIN: dict[str, Any] = {"color": BLUE, "marker": "o"}
_TEST: dict[str, Any] = {"color": ORANGE, "marker": "s"}
_TRAIN_DASHES, _TEST_DASHES = (0, (5, 2)), (0, (2, 1.3))


def picture(shown: Curves) -> Figure:
    """Return the learning curves as a matplotlib figure."""
    figure = Figure(figsize=(WIDTH, _HEIGHT))
    heading(figure, shown.experiment, f"{shown.folder} on {shown.dataset}, {_what(shown)}")
    left, right = (
        figure.add_axes((x / WIDTH, 0.42 / _HEIGHT, 2.62 / WIDTH, 1.8 / _HEIGHT)) for x in (0.55, 3.78)
    )
    _draw(left, shown.train_loss, math.inf, **_TRAIN)
    _draw(right, shown.train_accuracy, 100.0, **_TRAIN)
    _draw(right, shown.test_accuracy, 100.0, **_TEST)
    width = 1.2 if len(shown.published) == 1 else 0.8
    for run in shown.published:
        dashed = {"linewidth": width, "color": _TRAIN["color"], "linestyle": _TRAIN_DASHES}
        left.plot(run.epochs, run.train_loss, **dashed, **_lone(run.epochs))
        right.plot(run.epochs, run.train_accuracy, **dashed, **_lone(run.epochs))
        dashed |= {"color": _TEST["color"], "linestyle": _TEST_DASHES}
        right.plot(run.epochs, run.test_accuracy, **dashed, **_lone(run.epochs))
    left.set_ylabel("Training loss (nats)")
    right.set_ylabel("Accuracy (%)")
    for axes in (left, right):
        _over_epochs(axes, max([shown.epochs, *(run.epochs[-1] for run in shown.published)]))
    _from_zero(left)
    _in_percent(right)
    legend(figure, _handles(shown))
    return figure


def _what(shown: Curves) -> str:
    over = seeds(shown.n, shown.seeds)
    if min(shown.ends) < shown.epochs:
        over += f" of {shown.span}"
    return over if shown.n == 1 else f"mean ± sample standard deviation over {over}"


def _draw(axes: Any, band: Band, most: float, **look: Any) -> None:
    """Draw a mean and its band, cut off below 0 and above `most`, where no value can be."""
    epochs = range(1, len(band.mean) + 1)
    every = max(1, -(-len(epochs) // _MARKED))
    marked = slice((len(epochs) - 1) % every, None, every)
    axes.plot(epochs, band.mean, linewidth=1.4, markersize=3.6, markevery=marked, zorder=3, **look)
    if band.low is None or band.high is None:
        return
    low, high = ([min(max(each, 0.0), most) for each in edge] for edge in (band.low, band.high))
    if len(epochs) == 1:
        axes.vlines(epochs, low, high, color=look["color"], linewidth=1.2)
    else:
        axes.fill_between(epochs, low, high, color=look["color"], alpha=0.22, linewidth=0)


def _lone(epochs: Sequence[int]) -> dict[str, Any]:
    """Return a marker for a line of one epoch, which would be invisible without one."""
    return {"marker": "D", "markerfacecolor": "none", "markersize": 6} if len(epochs) == 1 else {}


def _over_epochs(axes: Any, last: int) -> None:
    pad = max(0.35, 0.03 * (last - 1))
    axes.set_xlim(1 - pad, last + pad)
    ticks = [tick for tick in MaxNLocator(10, integer=True).tick_values(1, last) if 1 <= tick <= last]
    axes.xaxis.set_major_locator(FixedLocator(sorted({1.0, *ticks}) if last < 12 else ticks))
    axes.set_xlabel("Epoch")
    axes.grid(axis="y")


def _from_zero(axes: Any) -> None:
    low, high = axes.dataLim.intervaly
    axes.set_ylim(min(0.0, low), high * 1.05 or 1.0)


def _in_percent(axes: Any) -> None:
    low, high = axes.dataLim.intervaly
    middle, half = (low + high) / 2, max(high - low, 1.0) * 0.53
    bottom, top = max(middle - half, 0.0), min(middle + half, 100.0)
    axes.set_ylim(bottom - 0.02 * (top - bottom), top + 0.02 * (top - bottom))
    ticks = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(bottom, top)
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in ticks if bottom <= tick <= top]))


def _handles(shown: Curves) -> list[Any]:
    own: dict[str, Any] = {"linewidth": 1.4, "markersize": 3.6}
    handles: list[Any] = [
        Line2D([], [], label="training", **own, **_TRAIN),
        Line2D([], [], label="testing", **own, **_TEST),
    ]
    if shown.n > 1:
        handles.append(Patch(facecolor=GREY, alpha=0.3, linewidth=0, label="± std"))
    if shown.published:
        runs = f" ({len(shown.published)} runs)" if len(shown.published) > 1 else ""
        for name, look, dashes in (("training", _TRAIN, _TRAIN_DASHES), ("testing", _TEST, _TEST_DASHES)):
            label = f"published {name}{runs}"
            handles.append(Line2D([], [], color=look["color"], linewidth=1.2, linestyle=dashes, label=label))
    return handles
