"""Which figures a suite has, what their alt texts say, and what is drawn of unfinished experiments."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.report.figures import figures
from tests.support.drawn_figures import (
    CURVE,
    by_marker,
    comparison_of,
    contents_of,
    curves_of,
    missing,
    picture_of,
    words,
)
from tests.support.filled_stores import ONE
from tests.support.records import PUBLISHED, SUITE, diverged_of, failed_of


def test_a_suite_may_do_without(tmp_path: Path) -> None:
    text = SUITE + "table: {figures: false}\n"
    assert figures(contents_of(tmp_path, text)) == []


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


def test_the_words_are_those_of_the_figures(tmp_path: Path) -> None:
    found = figures(contents_of(tmp_path, ONE + PUBLISHED, curves=[CURVE]))
    assert found[0].alt == ("Final testing accuracy: one 60.33 % ± 4.04 % (3 seeds, published 81.25 %).")
    assert found[1].alt == (
        "Curves of one over 2 epochs, 3 seeds. At the end: training loss 0.54667 ± 0.04041, "
        "training accuracy 72.67 % ± 4.04 %, testing accuracy 60.33 % ± 4.04 %; "
        "published testing accuracy 81.25 % (dashed)."
    )
