"""Scaling figure: images/s over ranks, strong and weak, beside the ideal; one panel an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, StrMethodFormatter

from harness.report.figures.style import BLUE, GREY, ORANGE, WIDTH, bytes_of, heading, legend
from harness.runner.bench.scale_table import Row, Scale, rows

_HEAD, _PANEL = 0.62, 2.35  # inches: heading and legend, and a row of two panels
_STRONG: dict[str, Any] = {"color": BLUE, "marker": "o"}
_WEAK: dict[str, Any] = {"color": ORANGE, "marker": "s"}
_IDEAL: dict[str, Any] = {"color": GREY, "linewidth": 0.9, "linestyle": (0, (5, 2))}
_LINE: dict[str, Any] = {"linewidth": 1.4, "markersize": 3.6}


def svg(scale: Scale) -> str:
    """Draw the figure as SVG."""
    return bytes_of(lambda: picture(scale), "harness-scale")["svg"].decode()


def picture(scale: Scale) -> Figure:
    """Return the figure as matplotlib's."""
    found = rows(scale)
    names = list(dict.fromkeys(each.measurement.cell.experiment for each in found))
    lines = -(-len(names) // 2)
    height = _HEAD + _PANEL * lines
    figure = Figure(figsize=(WIDTH, height))
    unit = "one a rank" if scale.machine.is_gpu else f"ranks of one thread, {scale.machine.cores} cores"
    heading(figure, f"Scaling of {scale.suite}", f"{scale.machine.device}, {unit}")
    width = 2.5 if len(names) > 1 else 5.78
    for number, name in enumerate(names):
        bottom = _PANEL * (lines - 1 - number // 2) + 0.42
        axes = figure.add_axes(
            ((0.65 + 3.28 * (number % 2)) / WIDTH, bottom / height, width / WIDTH, 1.65 / height)
        )
        _draw(axes, name, [each for each in found if each.measurement.cell.experiment == name])
    legend(
        figure,
        [
            Line2D([], [], label="strong: the suite's batch", **_LINE, **_STRONG),
            Line2D([], [], label="weak: the batch times the ranks", **_LINE, **_WEAK),
            Line2D([], [], label="ideal", **_IDEAL),
        ],
    )
    return figure


def _draw(axes: Any, name: str, found: Sequence[Row]) -> None:
    most = max(each.measurement.cell.ranks for each in found)
    for kind, look in (("strong", _STRONG), ("weak", _WEAK)):
        shown = [each.measurement for each in found if each.point.kind in (kind, None)]
        ranks = [each.cell.ranks for each in shown]
        speeds = [each.images_per_second for each in shown]
        axes.plot(ranks, [each.median for each in shown], zorder=3, **_LINE, **look)
        axes.vlines(ranks, list(map(min, speeds)), list(map(max, speeds)), color=look["color"], linewidth=1)
    for single in (each.measurement.median for each in found if each.point.kind is None):
        axes.plot([1, most], [single, single * most], **_IDEAL)
    axes.set_title(name.replace("$", r"\$"), loc="left", fontsize=8)
    axes.set_xlabel("Ranks")
    axes.set_ylabel("Images/s")
    worlds = sorted({each.measurement.cell.ranks for each in found})
    axes.xaxis.set_major_locator(FixedLocator([each for each in worlds if each >= most / 16]))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_ylim(bottom=0)
    axes.grid(axis="y")
