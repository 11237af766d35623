"""Checkpoints: what is not whole or not this trial's is no checkpoint; weights load into the plain model."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.results.record import Epoch
from harness.training import checkpoint, checkpoint_file
from harness.training.checkpoint_policy import CheckpointAction
from harness.training.model_facts import initialised
from harness.training.trainer import Places
from tests.support.calls import Calls
from tests.support.ranks import ALONE
from tests.support.trials import course, places, resident, small_trial, train

STEP = {"name": "StepLR", "step_size": 1}


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a small trial's last epoch count as long enough to be saved."""
    monkeypatch.setattr("harness.training.checkpoint_policy._LEAST_SECONDS", 0.0)


def whole_epochs(path: Path, **changes: Any) -> tuple[list[Epoch], list[str]]:
    """Train a small trial of two epochs; return what it found, without times, and what was said."""
    notes: list[str] = []
    trial = small_trial(**changes)
    outcome = train(trial, resident(trial, ALONE), ALONE, path, Calls(on_note=notes.append))
    timeless = {"train_seconds": 0.0, "eval_seconds": 0.0}
    return [epoch.model_copy(update=timeless) for epoch in outcome.epochs], notes


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04cut", b"text", None])
def test_a_damaged_checkpoint_is_named_and_the_other_is_taken(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "one"
    whole, said = whole_epochs(path)
    assert not said
    first, second = places(path).paths
    steps = []
    second.write_bytes(second.read_bytes()[:-50] if content is None else content)
    trial = small_trial()
    callbacks = Calls(on_step=lambda step, loss: steps.append(step), on_note=said.append)
    outcome = train(trial, resident(trial, ALONE), ALONE, path, callbacks)
    assert steps == list(range(6, 12))  # the second epoch only
    assert outcome.epochs[-1].test_loss == whole[-1].test_loss
    assert len(said) == 1
    assert str(second) in said[0]
    assert first.exists()


@pytest.mark.e2e
def test_one_flipped_bit_anywhere_is_found(tmp_path: Path) -> None:
    path = tmp_path / "one.checkpoint-1"
    checkpoint_file.write(path, bytes(range(256)) * 4)
    whole = path.read_bytes()
    assert checkpoint_file.read(path) == bytes(range(256)) * 4
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="it is damaged"):
            checkpoint_file.read(path)


@pytest.mark.usefixtures("long")
@pytest.mark.parametrize("place", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_flipped_bit_is_told_and_trained_over(place: float, tmp_path: Path) -> None:
    path = tmp_path / "one"
    whole, _ = whole_epochs(path)
    for each in places(path).paths:
        content = bytearray(each.read_bytes())
        content[int(place * len(content))] ^= 4
        each.write_bytes(content)
    again, said = whole_epochs(path)
    assert again == whole
    assert [note.partition(":")[0] for note in said] == [str(each) for each in places(path).paths]
    assert all("does not have the SHA-256" in note for note in said)


@pytest.mark.usefixtures("long")
def test_a_checkpoint_of_an_earlier_version_is_not_gone_on_from(tmp_path: Path) -> None:
    path = tmp_path / "one"
    whole, _ = whole_epochs(path)
    for each in places(path).paths:
        each.write_bytes(checkpoint_file.read(each))
    again, said = whole_epochs(path)
    assert again == whole
    assert all("of an earlier version" in note for note in said)


class Hostile:
    """Would make a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_hostile_checkpoint_is_refused_and_said_so(tmp_path: Path) -> None:
    expected, _ = whole_epochs(tmp_path / "expected")
    path, proof = tmp_path / "one", tmp_path / "executed"
    for each in places(path).paths:
        buffer = io.BytesIO()
        torch.save({"digest": small_trial().digest, "model": Hostile(proof)}, buffer)
        checkpoint_file.write(each, buffer.getvalue())
    found, said = whole_epochs(path)
    assert found == expected
    assert not proof.exists()
    assert [note.partition(":")[0] for note in said] == [str(each) for each in places(path).paths]
    assert all("refused, it holds more than numbers" in note for note in said)


def test_another_trials_checkpoint_is_none(tmp_path: Path) -> None:
    path = tmp_path / "one"
    whole_epochs(path)
    other, said = whole_epochs(path, epochs=1)
    assert len(other) == 1
    assert "of another trial or of other code" in said[0]


@pytest.mark.parametrize("precision", ["fp32", "fp64"])
def test_a_trial_that_stops_at_any_step_finds_the_same(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.training.checkpoint_policy._SECONDS", 0.0)  # a boundary after every step
    expected, _ = whole_epochs(tmp_path / "whole", precision=precision, scheduler=STEP)
    trial = small_trial(precision=precision, scheduler=STEP)
    data, stops = resident(trial, ALONE), 0
    wishes = itertools.cycle([CheckpointAction.GO_ON, CheckpointAction.STOP])
    while (
        outcome := course(
            trial, data, ALONE, places(tmp_path / "one"), Calls(on_boundary=lambda _: next(wishes))
        )
    ) is None:
        stops += 1
    assert stops >= 6
    assert [epoch.train_loss for epoch in outcome.epochs] == [epoch.train_loss for epoch in expected]
    assert [epoch.test_accuracy for epoch in outcome.epochs] == [epoch.test_accuracy for epoch in expected]
    assert [epoch.test_loss for epoch in outcome.epochs] == [epoch.test_loss for epoch in expected]


def test_within_an_epoch_a_state_is_saved_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.training.checkpoint_policy._SECONDS", 0.0)
    trial, where = small_trial(epochs=1), Places(places(tmp_path / "one").paths, every_seconds=0.0)
    saved = []

    def note(step: int, _: object) -> None:
        contents = [checkpoint_file.read(path) for path in where.paths if path.exists()]
        saved.append([torch.load(io.BytesIO(content))["steps"] for content in contents])

    course(trial, resident(trial, ALONE), ALONE, where, Calls(on_step=note))
    assert saved == [[], [1], [1, 2], [3, 2], [3, 4], [5, 4]]  # in turn, the last two are there


def test_a_trial_that_is_dropped_saves_nothing_more(tmp_path: Path) -> None:
    trial, where = small_trial(), places(tmp_path / "one")
    assert (
        course(
            trial,
            resident(trial, ALONE),
            ALONE,
            where,
            Calls(on_boundary=lambda _: CheckpointAction.DROP),
        )
        is None
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("long")
def test_nothing_is_trained_twice(tmp_path: Path) -> None:
    trial, path = small_trial(epochs=2), tmp_path / "one.checkpoint"
    first = train(trial, resident(trial, ALONE), ALONE, path)
    assert train(trial, resident(trial, ALONE), ALONE, path).epochs == first.epochs


def test_a_last_epoch_of_less_than_a_second_is_left_to_the_record(tmp_path: Path) -> None:
    trial = small_trial(epochs=2)
    train(trial, resident(trial, ALONE), ALONE, tmp_path / "one")
    assert [path.name for path in tmp_path.iterdir()] == ["one-1"]  # of the first epoch


def test_weights_load_into_the_plain_model(tmp_path: Path) -> None:
    trial, path = small_trial(precision="fp32"), tmp_path / "one.weights.pt"
    data = resident(trial, ALONE)
    outcome = train(trial, data, ALONE, tmp_path / "one.checkpoint")
    checkpoint.save_weights(path, outcome.model)
    plain = initialised(trial.settings.model, 0, data.image_shape, data.num_classes).eval()
    plain.load_state_dict(torch.load(path, weights_only=True))
    images = data.test.images.float() / 255
    accuracy = (plain(images).argmax(1) == data.test.labels).double().mean().item()
    assert accuracy == outcome.epochs[-1].test_accuracy


def test_a_trial_that_diverges_stops_at_the_end_of_that_epoch(tmp_path: Path) -> None:
    trial = small_trial(epochs=5, precision="fp32", optimizer={"name": "SGD", "lr": 1e30})
    outcome = train(trial, resident(trial, ALONE), ALONE, tmp_path / "one.checkpoint")
    assert outcome.status == "diverged"
    assert len(outcome.epochs) == 1
