"""The figure that `harness scale` draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.report.figures.style import style
from harness.runner.bench.grid import Machine
from harness.runner.bench.scale_plot import picture, svg
from tests.support.bench_cells import CPU, GPU
from tests.support.drawn_figures import by_marker, solid, words
from tests.support.made_up_scaling import SPEEDS, Speeds, scale_of


def drawn(folder: Path, machine: Machine = CPU, speeds: Speeds = SPEEDS) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with style():
        figure = picture(scale_of(folder, machine, speeds, {}))
        FigureCanvasAgg(figure).draw()
    return figure


def test_each_experiment_has_a_panel_of_medians_over_ranks_and_the_ideal(tmp_path: Path) -> None:
    figure = drawn(tmp_path)
    first, second = figure.axes
    assert (first.get_title("left"), second.get_title("left")) == ("one", "two")
    assert by_marker(first, "o") == [(1, 1900), (2, 3000), (4, 4180)]
    assert by_marker(first, "s") == [(1, 1900), (2, 3600)]
    (ideal,) = [line for line in first.lines if line not in solid(first)]
    assert (list(ideal.get_xdata()), list(ideal.get_ydata())) == ([1, 4], [1900, 4 * 1900])
    assert (1500, 3040) in intervals_of(first)
    assert first.get_ylim()[0] == 0
    assert "ranks of one thread, 2 cores" in words(figure)
    assert "A GPU, one a rank" in words(drawn(tmp_path, GPU))


def test_one_rank_alone_is_drawn_too(tmp_path: Path) -> None:
    (axes,) = drawn(tmp_path, speeds={("one", None, 1): ((1000, 2000, 1900), ())}).axes
    assert by_marker(axes, "o") == [(1, 1900)]


def test_of_many_ranks_no_tick_covers_another(tmp_path: Path) -> None:
    speeds: Speeds = {("one", "strong", 2**power): ((1, 2, 3), ()) for power in range(1, 7)}
    assert list(drawn(tmp_path, speeds=speeds).axes[0].get_xticks()) == [4, 8, 16, 32, 64]


@pytest.mark.e2e
def test_the_same_measurements_give_the_same_bytes(tmp_path: Path) -> None:
    scale = scale_of(tmp_path, CPU, SPEEDS, {})
    assert svg(scale) == svg(scale)
    assert svg(scale).startswith("<?xml")


def intervals_of(axes: Any) -> list[tuple[float, float]]:
    """Return the spans of vertical lines."""
    return [
        (float(ends[0][1]), float(ends[1][1])) for each in axes.collections for ends in each.get_segments()
    ]
