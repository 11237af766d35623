"""What holds for every entry of the registries: resumed trials and captured graphs find the same."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from harness.config.optimizers import OPTIMIZERS
from harness.training.checkpoint_policy import CheckpointAction
from harness.training.engine import Graph
from tests.support.calls import Calls
from tests.support.ranks import ALONE
from tests.support.training_settings import SETTINGS, data_of, trial_of
from tests.support.trials import course, figures, places, train

pytestmark = pytest.mark.e2e

# Optimizers whose form for a CPU asks the device for numbers, or that count their steps on the host.
ONLY_ON_A_GPU = {f"optimizer {each.__name__}" for each in OPTIMIZERS if not each.is_fused}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_trial_that_stops_at_any_step_finds_the_same_bits(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.training.checkpoint_policy._SECONDS", 0.0)  # a boundary after every step
    trial = trial_of(name, "fp32", epochs=2)
    data, stops = data_of(trial, ALONE), 0
    expected = figures(train(trial, data, ALONE, tmp_path / "whole").epochs)
    # An evaluation that is left begins anew: that of an average takes six boundaries, others two.
    training = trial.settings.training
    go_on = [CheckpointAction.GO_ON] * (7 if training.ema or training.swa else 2)
    wishes = itertools.cycle([*go_on, CheckpointAction.STOP])
    callbacks = Calls(on_boundary=lambda _: next(wishes))
    while (outcome := course(trial, data, ALONE, places(tmp_path / "one"), callbacks)) is None:
        stops += 1
    assert stops >= 2
    assert figures(outcome.epochs) == expected


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.usefixtures("not_spoiled")
def test_a_captured_trial_finds_what_an_eager_one_finds(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    trial = trial_of(name, epochs=5)
    data = data_of(trial, ALONE)
    eager = figures(train(trial, data, ALONE, tmp_path / "eager").epochs)
    graphs: list[Graph] = request.getfixturevalue("graphs")
    outcome = train(trial, data, ALONE, tmp_path / "graph")
    if name not in ONLY_ON_A_GPU:
        assert [(each.name, outcome.engine) for each in graphs] == [("graph", "graph")]
    assert figures(outcome.epochs) == pytest.approx(eager, rel=1e-12, abs=0)
