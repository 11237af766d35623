"""Comparison figure of a suite: per experiment one row with seeds, mean, interval and published mean."""

from __future__ import annotations

from collections import Counter
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import CARETLEFT, CARETRIGHT
from matplotlib.ticker import FixedLocator, MaxNLocator

from harness.report.figures.comparison import Comparison
from harness.report.figures.curves import seeds
from harness.report.figures.style import BLUE, GREY, VERMILION, WIDTH, heading, legend

_MOST_ROWS = 60  # more rows share the height of so many, and not every row is named
_ROOMY = 12  # rows up to which there is room to spare
_CROWDED = 150  # rows beyond which single seeds cannot be told apart, and are not drawn
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
    """Return the comparison as a matplotlib figure."""
    count = min(len(shown.lines), _MOST_ROWS)
    rows = (0.34 if count <= _ROOMY else 0.2) * count
    height = rows + _BELOW + _ABOVE
    figure = Figure(figsize=(WIDTH, height))
    every, exceptions = _seeds(shown)
    heading(figure, shown.folder, f"{shown.dataset}, {shown.counted}, {every}")
    names = _names(shown)
    left = 0.2 + 0.062 * max(len(line) for name in names.values() for line in name.splitlines())
    right = 0.9 if exceptions else 0.12
    axes = figure.add_axes((left / WIDTH, _BELOW / height, 1 - (left + right) / WIDTH, rows / height))
    _in_percent(axes, *_range(shown))
    _draw(axes, shown)
    axes.set_ylim(len(shown.lines) - 0.5, -0.5)
    axes.set_yticks(list(names), list(names.values()))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    place: dict[str, Any] = {
        "xycoords": axes.get_yaxis_transform(),
        "xytext": (4, 0),
        "textcoords": "offset points",
    }
    for at, said in exceptions.items():
        axes.annotate(said, (1, at), va="center", fontsize=7, **place)
    legend(figure, _handles(shown))
    return figure


def _seeds(shown: Comparison) -> tuple[str, dict[int, str]]:
    """Return the usual number of seeds as text, and the differing ones by row."""
    said = [seeds(len(line.values), line.seeds) for line in shown.lines]
    usual, count = Counter(said).most_common(1)[0]
    if count == len(said):
        return usual + " each" * (count > 1), {}
    if len(said) > _MOST_ROWS:
        counts = [len(line.values) for line in shown.lines]
        return f"{min(counts)} to {max(counts)} seeds", {}
    return f"{usual} each unless said", {at: each for at, each in enumerate(said) if each != usual}


def _names(shown: Comparison) -> dict[int, str]:
    """Return the labels of the rows that have one; long labels in two lines or without their middle."""
    every = -(-len(shown.lines) // _MOST_ROWS)
    named = dict(list(enumerate(shown.lines))[::every])
    lines = 2 if len(shown.lines) <= _ROOMY else 1
    return {at: "\n".join(map(_short, _parts(line.name, lines))) for at, line in named.items()}


def _parts(name: str, most: int) -> list[str]:
    if len(name) <= _LONGEST or most == 1:
        return [name]
    commas = [at for at, letter in enumerate(name, 1) if letter == ","]
    middle = min(commas, key=lambda at: abs(at - len(name) / 2), default=len(name) // 2)
    return [name[:middle], name[middle:]]


def _short(name: str) -> str:
    if len(name) <= _LONGEST:
        return name
    half = (_LONGEST - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def _draw(axes: Any, shown: Comparison) -> None:
    rows = list(enumerate(shown.lines))
    scale = 1.0 if len(rows) <= _ROOMY else 0.8 if len(rows) <= _CROWDED else 0.3
    if _has_seeds(shown):
        dots = [(value, at + 0.27) for at, line in rows for value in line.values]
        axes.plot(*zip(*dots, strict=True), markersize=3.4 * scale, **_DOT)
    intervals = [(at, *found) for at, line in rows if (found := line.interval())]
    if intervals:
        axes.hlines(*zip(*intervals, strict=True), color=BLUE, linewidth=1.4 * scale)
    low, high = map(float, axes.get_xlim())
    for at, start, end in intervals:
        beyond = [(low, CARETLEFT)] * (start < low) + [(high, CARETRIGHT)] * (end > high)
        for edge, arrow in beyond:
            axes.plot([edge], [at], marker=arrow, color=BLUE, markersize=5 * scale, clip_on=False)
    means = [(line.mean, at) for at, line in rows if line.mean is not None]
    axes.plot(*zip(*means, strict=True), linestyle="none", markersize=5 * scale, zorder=3, **_MEAN)
    published = [(line.published, at) for at, line in rows if line.published is not None]
    if published:
        axes.plot(*zip(*published, strict=True), markersize=8 * scale, zorder=4, **_DIAMOND)


def _has_means(shown: Comparison) -> bool:
    return any(len(line.values) > 1 for line in shown.lines)


def _has_seeds(shown: Comparison) -> bool:
    return _has_means(shown) and len(shown.lines) <= _CROWDED


def _range(shown: Comparison) -> tuple[float, float]:
    """Return the axis range in percent: all values, and intervals up to the values' span on each side."""
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


def _handles(shown: Comparison) -> list[Any]:
    several = _has_means(shown)
    handles = [Line2D([], [], markersize=3.4, label="one seed", **_DOT)] if _has_seeds(shown) else []
    label = "mean and its 95 % t-interval" if several else "one seed"
    handles.append(Line2D([], [], linewidth=1.4 * several, markersize=5, label=label, **_MEAN))
    if any(line.published is not None for line in shown.lines):
        handles.append(Line2D([], [], markersize=7, label="published", **_DIAMOND))
    return handles
