"""The picture of a suite: a row an experiment, with its seeds, their mean and interval, and the published."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator

from harness.report.canvas import BLUE, GREY, VERMILION, WIDTH, heading, legend
from harness.report.comparison import Comparison, Line
from harness.report.curves import seeds

_MOST_ROWS = 60  # more share the height of so many, and not every one is named
_ROOMY = 12  # rows up to which there is room to spare
_LONGEST = 44  # characters of a name
_BELOW, _ABOVE = 0.42, 0.72  # inches, for the axis and for the heading and the legend
_DOT: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": GREY, "markeredgewidth": 0, "alpha": 0.6}
_MEAN: dict[str, Any] = {"color": BLUE, "marker": "o"}
_DIAMOND: dict[str, Any] = {
    "linestyle": "none",
    "marker": "D",
    "markerfacecolor": "none",
    "markeredgecolor": VERMILION,
    "markeredgewidth": 1.1,
}


def picture(shown: Comparison) -> Figure:
    """Build the picture."""
    count = min(len(shown.lines), _MOST_ROWS)
    rows = (0.34 if count <= _ROOMY else 0.2) * count
    height = rows + _BELOW + _ABOVE
    figure = Figure(figsize=(WIDTH, height))
    heading(figure, shown.folder, f"{shown.dataset}, last epoch, {_seeds(shown)}")
    every = -(-len(shown.lines) // _MOST_ROWS)
    named = list(enumerate(shown.lines))[::every]
    left = 0.2 + 0.062 * max(len(_short(line.name)) for _, line in named)
    right = 0.9 if _is_told_apart(shown) else 0.12
    axes = figure.add_axes((left / WIDTH, _BELOW / height, 1 - (left + right) / WIDTH, rows / height))
    low, high = _range(shown)
    for number, line in enumerate(shown.lines):
        _draw(axes, number, line, (low, high), 1.0 if len(shown.lines) <= _ROOMY else 0.8)
    _in_percent(axes, low, high)
    axes.set_ylim(len(shown.lines) - 0.5, -0.5)
    axes.set_yticks([number for number, _ in named], [_short(line.name) for _, line in named])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    for number, line in named if _is_told_apart(shown) else ():
        said = seeds(len(line.values), line.seeds)
        axes.annotate(
            said, (1, number), (4, 0), axes.get_yaxis_transform(), "offset points", va="center", fontsize=7
        )
    legend(figure, _handles(shown))
    return figure


def _seeds(shown: Comparison) -> str:
    counts = [len(line.values) for line in shown.lines]
    said = {seeds(len(line.values), line.seeds) for line in shown.lines}
    return said.pop() if len(said) == 1 else f"{min(counts)} to {max(counts)} seeds"


def _is_told_apart(shown: Comparison) -> bool:
    """Tell whether each row says over how many seeds it is."""
    said = {seeds(len(line.values), line.seeds) for line in shown.lines}
    return len(said) > 1 and len(shown.lines) <= _MOST_ROWS


def _draw(axes: Any, at: int, line: Line, view: tuple[float, float], scale: float) -> None:
    axes.plot(line.values, [at + 0.27] * len(line.values), markersize=3.4 * scale, **_DOT)
    if (interval := line.interval()) is not None:
        axes.hlines(at, *interval, color=BLUE, linewidth=1.4 * scale)
        for end, edge, arrow in zip(interval, view, "<>", strict=True):
            if not view[0] <= end <= view[1]:
                axes.plot([edge], [at], marker=arrow, color=BLUE, markersize=4 * scale, clip_on=False)
    if line.mean is not None:
        axes.plot([line.mean], [at], markersize=5 * scale, zorder=3, **_MEAN)
    if line.published is not None:
        axes.plot([line.published], [at], markersize=8 * scale, zorder=4, **_DIAMOND)


def _range(shown: Comparison) -> tuple[float, float]:
    """Return the percentages to show: all values, and of wide intervals as much again on each side."""
    values = [value for line in shown.lines for value in line.values]
    values += [line.published for line in shown.lines if line.published is not None]
    ends = [end for line in shown.lines for end in line.interval() or ()]
    low, high = min(values), max(values)
    span = max(high - low, 1.0)
    low, high = max(min([low, *ends]), low - span), min(max([high, *ends]), high + span)
    missing = max(0.0, 1.0 - (high - low)) / 2
    low, high = max(low - missing, 0.0), min(high + missing, 100.0)
    return low - 0.04 * (high - low), high + 0.04 * (high - low)


def _in_percent(axes: Any, low: float, high: float) -> None:
    axes.set_xlim(low, high)
    ticks = MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    low, high = max(low, 0.0), min(high, 100.0)
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.set_xlabel("Final testing accuracy (%)")
    axes.grid(axis="x")


def _short(name: str) -> str:
    if len(name) <= _LONGEST:
        return name
    half = (_LONGEST - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def _handles(shown: Comparison) -> list[Any]:
    several = any(len(line.values) > 1 for line in shown.lines)
    handles = [Line2D([], [], markersize=3.4, label="one seed", **_DOT)] if several else []
    label = "mean and its 95 % t-interval" if several else "one seed"
    handles.append(Line2D([], [], linewidth=1.4 * several, markersize=5, label=label, **_MEAN))
    if any(line.published is not None for line in shown.lines):
        handles.append(Line2D([], [], markersize=7, label="published", **_DIAMOND))
    return handles
