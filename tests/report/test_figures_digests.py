"""Digests and bytes of figures: they change with what is shown, and with nothing else."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import stats
from harness.config.suite import Trial
from harness.report.figures import digest_in, figures
from harness.results.store import Store
from tests.support import ROOT
from tests.support.drawn_figures import CURVE, Figures, contents_of, learning, trained
from tests.support.filled_stores import ONE
from tests.support.records import PUBLISHED, SUITE, suite_of


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


@pytest.mark.e2e
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
