"""Checkpoints: what is not whole or not this trial's is no checkpoint; weights load into the plain model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.training import checkpoint
from harness.training.loop import train
from harness.training.probe import initialised
from harness.training.world import World
from tests.trials import resident, small_trial

WORLD = World(0, 1, torch.device("cpu"))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04cut", b"text", None])
def test_a_damaged_checkpoint_is_none(content: bytes | None, tmp_path: Path) -> None:
    trial, path = small_trial(epochs=1), tmp_path / "one.checkpoint"
    whole = train(trial, resident(trial, WORLD), WORLD, path)
    path.write_bytes(path.read_bytes()[:-50] if content is None else content)
    assert (
        train(trial, resident(trial, WORLD), WORLD, path).epochs[-1].test_loss == whole.epochs[-1].test_loss
    )


def test_another_trials_checkpoint_is_none(tmp_path: Path) -> None:
    path = tmp_path / "one.checkpoint"
    train(small_trial(epochs=2), resident(small_trial(), WORLD), WORLD, path)
    other = small_trial(epochs=1)
    assert len(train(other, resident(other, WORLD), WORLD, path).epochs) == 1


def test_nothing_is_trained_twice(tmp_path: Path) -> None:
    trial, path = small_trial(epochs=2), tmp_path / "one.checkpoint"
    first = train(trial, resident(trial, WORLD), WORLD, path)
    assert train(trial, resident(trial, WORLD), WORLD, path).epochs == first.epochs


def test_weights_load_into_the_plain_model(tmp_path: Path) -> None:
    trial, path = small_trial(precision="fp32"), tmp_path / "one.weights.pt"
    data = resident(trial, WORLD)
    outcome = train(trial, data, WORLD, tmp_path / "one.checkpoint")
    checkpoint.save_weights(path, outcome.model)
    plain = initialised(trial.settings.model, 0, data.image_shape, data.num_classes).eval()
    plain.load_state_dict(torch.load(path, weights_only=True))
    images = data.test.images.float() / 255
    accuracy = (plain(images).argmax(1) == data.test.labels).double().mean().item()
    assert accuracy == outcome.epochs[-1].test_accuracy


def test_a_trial_that_diverges_stops_at_the_end_of_that_epoch(tmp_path: Path) -> None:
    trial = small_trial(epochs=5, precision="fp32", optimizer={"name": "SGD", "lr": 1e30})
    outcome = train(trial, resident(trial, WORLD), WORLD, tmp_path / "one.checkpoint")
    assert outcome.status == "diverged"
    assert len(outcome.epochs) == 1
