"""Every shipped model is trained exactly: it is checked, resumed, and captured as a graph."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.training.engine import Graph
from harness.training.model_check import check_model
from tests.support.ranks import ALONE
from tests.support.trials import SHIPPED, figures_alone, interrupted, small_dataset, small_trial

LARGE = ("mlp_3x1024",)  # of layers that the others have, too
NAMES = [pytest.param(name, marks=pytest.mark.e2e) if name in LARGE else name for name in SHIPPED]
CAPTURED_ELSEWHERE = ("patch_mixer", "convnet", "mlp")  # in test_engine.py

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("not_spoiled")]


@pytest.mark.parametrize("name", NAMES)
def test_it_passes_the_check(name: str) -> None:
    check_model(small_trial(SHIPPED[name]).settings, small_dataset())


@pytest.mark.parametrize("name", NAMES)
def test_an_interrupted_trial_ends_as_one_in_one_go_bit_for_bit(name: str, tmp_path: Path) -> None:
    trial = small_trial(SHIPPED[name], precision="fp32")
    whole = interrupted(ALONE, trial, str(tmp_path / "whole"), 0)
    interrupted(ALONE, trial, str(tmp_path / "parts"), 1)
    assert interrupted(ALONE, trial, str(tmp_path / "parts"), 0) == whole


@pytest.mark.parametrize("name", [each for each in NAMES if each not in CAPTURED_ELSEWHERE])
def test_a_captured_trial_finds_what_an_eager_one_finds(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    trial = small_trial(SHIPPED[name], epochs=3)
    eager = figures_alone(trial, tmp_path / "eager")
    graphs: list[Graph] = request.getfixturevalue("graphs")
    assert figures_alone(trial, tmp_path / "graph") == pytest.approx(eager, rel=1e-12, abs=0)
    assert [each.name for each in graphs] == ["graph"]
