"""`plan` and `run` warn where published accuracies have too few digits to be reproduced."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import data
from harness.data.kinds import named
from harness.results.store import Store
from tests.support.commands import call
from tests.support.records import SUITE, record_of, suite_of

SAMPLE = SUITE.replace("{name: kmnist, resize: 32}", "{name: kmnist_sample, resize: 8}")
PUBLISHED = "published: {dataset: kmnist_sample, source: s, OTHER experiments: {one: ONE, two: TWO}}\n"
WARNED = (
    "warning: small: one: by its last digit the published accuracy {found} is rounded to ±{points} points"
)


def text(one: str, two: str = "{train_loss: 0.5}", other: str = "") -> str:
    published = PUBLISHED.replace("ONE", one).replace("TWO", two).replace("OTHER", other)
    return SAMPLE + published


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)


def planned(suite: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    Path("suite.yaml").write_text(suite, encoding="utf-8")
    code, out, _ = call(("plan", "suite.yaml"), monkeypatch, capsys)
    assert code == 0
    return [line for line in out.splitlines() if line.startswith("warning")]


@pytest.mark.parametrize(
    ("one", "found", "points"),
    [
        ("{test_accuracy: 0.9}", "0.9", "5"),
        ("{test_accuracy: 1}", "1.0", "5"),
        ("{test_accuracy: 0.85}", "0.85", "0.5"),
        ("{test_accuracy: 0.90}", "0.9", "5"),
    ],
)
def test_a_coarse_figure_is_warned_of_once(
    one: str, found: str, points: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = planned(text(one), monkeypatch, capsys)
    assert line.startswith(WARNED.format(found=found, points=points))
    assert "published: {rounding_points: 0.01}" in line


def test_each_experiment_has_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    each = "{test_accuracy: [0.9, 0.8]}"
    lines = planned(text(each, each, "runs: 2,"), monkeypatch, capsys)
    assert [line.split(": ")[2] for line in lines] == ["one", "two"]
    assert "0.9, 0.8" in lines[0]


@pytest.mark.parametrize(
    "suite",
    [
        text("{test_accuracy: 0.853}"),
        text("{test_accuracy: 0.9}", "{test_accuracy: 0.8125}"),
        text("{test_accuracy: 0.9}", other="rounding_points: 0.01,"),
        text("{test_accuracy: 0.9}", other="rounding_points: 10,"),
        text("{test_accuracy: 0.9}", other="margin_points: 6,"),
        text("{train_accuracy: 0.9, train_loss: 1}"),
        text("{test_accuracy: 0.9}").replace("dataset: kmnist_sample", "dataset: kmnist"),
        SAMPLE,
    ],
)
def test_what_has_its_digits_is_not(
    suite: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert planned(suite, monkeypatch, capsys) == []


def test_a_run_warns_as_well(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = suite_of(Path(), text("{test_accuracy: 0.9}") + "table: {figures: false}\n")
    digest = data.load(named("kmnist_sample", 8), env={"XDG_CACHE_HOME": str(cache)}).digest
    for trial in suite.trials():
        Store(Path("results")).save(trial, record_of(trial, data_digest=digest))
    code, _, err = call(("run", "suite.yaml"), monkeypatch, capsys)
    assert code == 0
    assert err.count("warning: small: one: by its last digit the published accuracy 0.9 is rounded") == 1
