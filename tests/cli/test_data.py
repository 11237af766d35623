"""`harness data`: the list of names, one dataset, and cleaning the cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.data.kinds import PUBLIC
from tests.support.commands import call
from tests.support.golden import assert_golden
from tests.support.suite_mistakes import GOOD
from tests.support.tiny_data import arrays


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HARNESS_DATA", raising=False)


def test_all_names_are_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = call(("data",), monkeypatch, capsys)
    assert code in (0, None)
    assert_golden("data.txt", text)
    assert sorted(line.split()[0] for line in text.splitlines()[1:]) == PUBLIC


def test_one_is_fetched_and_the_cache_is_cleaned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, text, said = call(("data", "kmnist_sample", "--resize", "8"), monkeypatch, capsys)
    assert text == (
        "kmnist_sample: 8,000 + 2,000 images of (1, 8, 8), digest 01db05a1dda6aa8b\n"
        "10 classes: o, ki, su, tsu, na, ha, ma, ya, re, wo\n"
    )
    assert said == "resizing kmnist_sample to 8 x 8 pixels, once\n"
    _, text, _ = call(("data", "--clean"), monkeypatch, capsys)
    assert text.startswith("1 prepared data sets removed, 0.00 GiB; downloads in ")
    assert not list((tmp_path / "cache/harness/resized").iterdir())


def test_the_dataset_of_a_suite_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", allow_pickle=False, **arrays(5))
    dataset = "{name: npz, path: x.npz, validation: {count: 6}}"
    Path("suite.yaml").write_text(GOOD.replace("{name: kmnist_sample, resize: 8}", dataset), encoding="utf-8")
    code, text, _ = call(("data", "suite.yaml"), monkeypatch, capsys)
    first, second = text.splitlines()
    assert first.startswith("x.npz: 39 + 24 + 6 samples of (5,), digest ")
    assert second == "3 classes: daisy, rose, tulip"
    code, _, said = call(("data", "suite.yaml", "--resize", "8"), monkeypatch, capsys)
    assert code == 2
    assert "--resize: found the suite suite.yaml too" in said


def test_cleaning_takes_no_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, said = call(("data", "mnist", "--clean"), monkeypatch, capsys)
    assert code == 2
    assert "--clean: found the dataset 'mnist' too" in said
