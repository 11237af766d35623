"""Averages of weights, clipping and accumulation, against plain loops with torch's own parts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import swa_utils

from harness.config.suite import Trial
from harness.results.record import Epoch
from harness.training.checkpoint_policy import CheckpointAction
from harness.training.dataloader import ResidentDataset
from harness.training.model_facts import initialised
from harness.training.trainer_state import TrainerState
from tests.support.calls import Calls
from tests.support.ranks import ALONE
from tests.support.trials import course, figures, places, resident, small_trial, train

NORMS = {"name": "mlp", "hidden": [12, 9], "dropout": 0.0}
SGD = {"name": "SGD", "lr": 0.1, "momentum": 0.9}


def batches(trial: Trial, data: ResidentDataset, epoch: int) -> list[tuple[Tensor, Tensor]]:
    shares = data.train.train_shares(trial.seed, epoch, trial.settings.training.batch_size, ALONE)
    return [data.train.gather(share.chosen) for share in shares]


def plain_loop(
    trial: Trial,
    after_backward: Callable[[nn.Module], None] = lambda model: None,
    after_step: Callable[[nn.Module], None] = lambda model: None,
    after_epoch: Callable[[int], None] = lambda epoch: None,
) -> nn.Module:
    """Train as a user would."""
    data, settings = resident(trial, ALONE), trial.settings
    model = initialised(settings.model, trial.seed, data.image_shape, data.num_classes).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(1, settings.training.epochs + 1):
        for images, labels in batches(trial, data, epoch):
            optimizer.zero_grad()
            functional.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
            after_backward(model)
            optimizer.step()
            after_step(model)
        after_epoch(epoch)
    return model


def close(found: nn.Module, expected: nn.Module) -> bool:
    pairs = zip(found.state_dict().items(), expected.state_dict().values(), strict=True)
    return all(torch.allclose(one, other, rtol=1e-9, atol=1e-12) for name, (one, other) in _named(pairs))


def _named(pairs: Any) -> Any:
    for (name, one), other in pairs:
        if not name.endswith("num_batches_tracked"):
            yield name, (one, other)


def test_gradients_are_clipped_as_torch_clips_them(tmp_path: Path) -> None:
    trial = small_trial(NORMS, optimizer=SGD, clip_grad_norm=0.05)
    norms: list[float] = []

    def clip(model: nn.Module) -> None:
        norms.append(float(nn.utils.clip_grad_norm_(model.parameters(), 0.05)))

    expected = plain_loop(trial, after_backward=clip)
    assert min(norms) > 0.05
    assert close(train(trial, resident(trial, ALONE), ALONE, tmp_path / "one").model, expected)


def test_parts_of_a_batch_without_norms_are_the_batch(tmp_path: Path) -> None:
    model = {"name": "tests.support.own_training:matrices"}
    once, parts = (
        train(trial, resident(trial, ALONE), ALONE, tmp_path / str(trial.settings.training.accumulate))
        for trial in (small_trial(model, optimizer=SGD, accumulate=count) for count in (1, 5))
    )
    assert close(parts.model, once.model)


def test_weighted_parts_of_a_batch_are_the_batch(tmp_path: Path) -> None:
    model, loss = {"name": "tests.support.own_training:matrices"}, {"class_weights": "balanced"}
    trials = [small_trial(model, optimizer=SGD, accumulate=count, loss=loss) for count in (1, 3)]
    once, parts = (
        train(trial, resident(trial, ALONE), ALONE, tmp_path / str(number))
        for number, trial in enumerate(trials)
    )
    assert close(parts.model, once.model)


@pytest.mark.parametrize("kind", ["ema", "swa"])
def test_an_average_is_torchs_with_its_norms_estimated_again(kind: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"ema": {"decay": 0.7}} if kind == "ema" else {"swa": {"start_epoch": 2}}
    trial = small_trial(NORMS, epochs=3, optimizer=SGD, **settings)
    data = resident(trial, ALONE)
    live = initialised(trial.settings.model, trial.seed, data.image_shape, data.num_classes).double()
    average = swa_utils.AveragedModel(
        live,
        multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.7) if kind == "ema" else None,  # type: ignore[no-untyped-call]
    )
    average.update_parameters(live) if kind == "ema" else None  # the initial weights count
    models: list[nn.Module] = []

    def after_step(model: nn.Module) -> None:
        models[:] = [model]
        if kind == "ema":
            average.update_parameters(model)

    def after_epoch(epoch: int) -> None:
        if kind == "swa" and epoch >= 2:
            average.update_parameters(models[0])

    plain_loop(trial, after_step=after_step, after_epoch=after_epoch)
    swa_utils.update_bn([images for images, _ in batches(trial, data, 3)], average)
    outcome = train(trial, data, ALONE, tmp_path / "one")
    assert close(outcome.model, average.module)
    images, labels = data.test.gather(torch.arange(len(data.test)))
    loss = functional.cross_entropy(average.module.eval()(images), labels)
    assert outcome.epochs[-1].test_loss == pytest.approx(float(loss.detach()), rel=1e-9)


@pytest.mark.e2e
def test_an_epoch_counts_once_where_its_evaluation_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.training.checkpoint_policy._SECONDS", 0.0)  # a boundary after every step
    trial = small_trial(NORMS, epochs=4, optimizer=SGD, swa={"start_epoch": 1})
    data = resident(trial, ALONE)
    expected = figures(train(trial, data, ALONE, tmp_path / "whole").epochs)
    for stop_at in range(8, 14):  # the steps, the norms, the test batch, the end of an epoch
        wishes = itertools.cycle([CheckpointAction.GO_ON] * stop_at + [CheckpointAction.STOP])
        calls, where = (
            Calls(on_boundary=lambda _, wishes=wishes: next(wishes)),
            places(tmp_path / str(stop_at)),
        )
        stops = 0
        while (outcome := course(trial, data, ALONE, where, calls)) is None:
            stops += 1
        assert stops
        assert figures(outcome.epochs) == expected


def test_a_figure_of_validation_that_is_not_finite_is_a_divergence() -> None:
    model = nn.Linear(1, 1)
    state = TrainerState(model, torch.optim.SGD(model.parameters(), lr=0.1))
    figures = {"train_loss": 1.0, "train_accuracy": 0.5, "test_loss": 1.0, "test_accuracy": 0.5}
    for loss, has_diverged in ((1.0, False), (math.inf, True)):
        epoch = Epoch.of(
            {**figures, "validation_loss": loss}, epoch=1, lr=0.1, train_seconds=1, eval_seconds=1
        )
        state.history = [epoch]
        assert state.has_diverged == has_diverged
