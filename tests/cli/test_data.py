"""`harness data`: the list of names, one dataset, and cleaning the cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.data.kinds import PUBLIC
from tests.support.commands import call
from tests.support.golden import assert_golden


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
