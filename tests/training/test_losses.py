"""Losses against torch's own; weights of classes; which losses of a user's own are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from harness.config.losses import Binary, CrossEntropy, LossSettings
from harness.config.settings import Training
from harness.errors import LossError
from harness.results.metrics import METRICS
from harness.training.losses import FUNCTIONS, Criterion, Targets, class_logits
from harness.training.prepared_trial import prepare
from harness.training.training_check import check_training
from tests.support.own_losses import focal
from tests.support.ranks import ALONE
from tests.support.training_settings import data_of, dataset, trial_of
from tests.support.trials import ADAM, train

torch.manual_seed(0)
LOGITS = torch.randn(9, 3, dtype=torch.float64)
LABELS = torch.tensor([0, 1, 2, 2, 2, 0, 1, 1, 2])
WEIGHTS = [0.5, 2.0, 1.25]
SMOOTHED = CrossEntropy(label_smoothing=0.2)


def criterion(settings: LossSettings, labels: Tensor = LABELS) -> Criterion:
    return Criterion.of(settings, labels, 3, torch.float64)


def loss_of(**settings: Any) -> LossSettings:
    fields = {"epochs": 1, "batch_size": 1, "optimizer": ADAM, "loss": settings}
    return Training.model_validate(fields).loss


@pytest.mark.parametrize("settings", [CrossEntropy(), SMOOTHED])
def test_cross_entropy_is_torchs_to_the_bit(settings: CrossEntropy) -> None:
    found = criterion(settings).summed(LOGITS, Targets(LABELS))
    smoothing = settings.label_smoothing
    expected = functional.cross_entropy(LOGITS, LABELS, reduction="sum", label_smoothing=smoothing)
    assert torch.equal(found, expected)
    assert criterion(settings).weight_of(Targets(LABELS)) is None


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_weights_give_torchs_weighted_mean(smoothing: float) -> None:
    own = criterion(CrossEntropy(label_smoothing=smoothing, class_weights=WEIGHTS)).over(LABELS)
    weight = own.weight_of(Targets(LABELS))
    assert weight is not None
    expected = functional.cross_entropy(
        LOGITS, LABELS, torch.tensor(WEIGHTS, dtype=torch.float64), label_smoothing=smoothing
    )
    torch.testing.assert_close(own.summed(LOGITS, Targets(LABELS)) / weight, expected, rtol=1e-12, atol=0)


def test_balanced_weights_are_inverse_frequencies_of_mean_1() -> None:
    weights = criterion(CrossEntropy(class_weights="balanced")).weights
    assert weights is not None
    torch.testing.assert_close(weights, 9 / (3 * torch.tensor([2.0, 3.0, 4.0], dtype=torch.float64)))
    assert float(weights[LABELS].mean()) == pytest.approx(1)


def test_a_class_that_the_training_set_lacks_has_a_finite_weight() -> None:
    weights = criterion(CrossEntropy(class_weights="balanced"), torch.zeros(4, dtype=torch.int64)).weights
    assert weights is not None
    assert weights.isfinite().all()


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("kind", ["cross_entropy", "tests.support.own_losses:focal"])
def test_two_labels_count_by_their_shares(kind: str, weights: list[float] | None) -> None:
    more = {"gamma": 2.0} if ":" in kind else {"label_smoothing": 0.1}
    own = criterion(loss_of(name=kind, class_weights=weights, **more))
    share = torch.linspace(0, 1, 9, dtype=torch.float64)
    mixed = Targets(LABELS, LABELS.flip(0), share)
    expected = total = 0.0
    for row in range(9):
        for labels, part in ((LABELS, share[row]), (LABELS.flip(0), 1 - share[row])):
            one = Targets(labels[row : row + 1])
            weight = own.weight_of(one)
            expected += float(part * own.summed(LOGITS[row : row + 1], one))
            total += float(part * (1 if weight is None else weight))
    assert float(own.summed(LOGITS, mixed)) == pytest.approx(expected, rel=1e-12)
    if weights:
        assert float(own.weight_of(mixed) or 0) == pytest.approx(total, rel=1e-12)
    assert mixed.heavier.tolist() == [*LABELS.flip(0).tolist()[:4], *LABELS.tolist()[4:]]


def test_mixed_labels_are_torchs_soft_targets() -> None:
    share = torch.linspace(0, 1, 9, dtype=torch.float64)
    one, other = (functional.one_hot(each, 3).double() for each in (LABELS, LABELS.flip(0)))
    soft = share[:, None] * one + (1 - share[:, None]) * other
    expected = functional.cross_entropy(LOGITS, soft, reduction="sum", label_smoothing=0.2)
    found = criterion(SMOOTHED).summed(LOGITS, Targets(LABELS, LABELS.flip(0), share))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_binary_loss_is_torchs_and_its_accuracy_that_of_positive_logits(smoothing: float) -> None:
    output, labels = LOGITS[:, :1], LABELS % 2
    logits = class_logits(output)
    found = criterion(Binary(name="binary", label_smoothing=smoothing)).summed(logits, Targets(labels))
    soft = labels.double() * (1 - smoothing) + smoothing / 2
    expected = functional.binary_cross_entropy_with_logits(output[:, 0], soft, reduction="sum")
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    (accuracy,) = (metric.count for metric in METRICS if metric.name == "accuracy")
    assert accuracy is not None
    assert int(accuracy(logits, labels)) == int(((output[:, 0] > 0).long() == labels).sum())
    assert class_logits(LOGITS) is LOGITS


def test_a_model_of_a_binary_loss_has_one_output(tmp_path: Path) -> None:
    trial = trial_of("loss binary")
    outcome = train(trial, data_of(trial, ALONE), ALONE, tmp_path / "one")
    assert outcome.model(torch.zeros(2, 3, 8, 8, dtype=torch.float64)).shape == (2, 1)
    assert 0.3 < outcome.epochs[-1].test_accuracy <= 1


def test_a_step_minimizes_the_weighted_mean_and_the_test_loss_is_one(tmp_path: Path) -> None:
    trial = trial_of("loss cross_entropy, balanced", epochs=1)
    data = data_of(trial, ALONE)
    counts = data.train.labels.bincount(minlength=3).double()
    assert len(set(counts.tolist())) == 3
    weights = len(data.train) / (3 * counts)
    outcome = train(trial, data, ALONE, tmp_path / "one")
    images = data.test.images.double() / 255
    expected = functional.cross_entropy(outcome.model.eval()(images), data.test.labels, weights).item()
    assert outcome.epochs[-1].test_loss == pytest.approx(expected, rel=1e-12)

    step = prepare(trial, data, ALONE).step
    step.optimizer.step = lambda: None  # type: ignore[method-assign, assignment]
    share = next(data.train.train_shares(trial.seed, 1, 16, ALONE))
    plain = prepare(trial, data, ALONE).step
    step.train(share)
    with plain.takeover.functions(), plain.shard.active():
        plain.shard.set(0, 16, 16)
        images, labels = data.train.gather(share.chosen)
        functional.cross_entropy(plain.model(images), labels, weights).backward()  # type: ignore[no-untyped-call]
    for found, wanted in zip(step.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(found.grad, wanted.grad, rtol=1e-9, atol=1e-12)


def test_an_own_loss_is_called_with_its_settings() -> None:
    own = criterion(loss_of(name="tests.support.own_losses:focal", gamma=2.0))
    assert float(own.summed(LOGITS, Targets(LABELS))) == float(focal(LOGITS, LABELS, 2.0).sum())


def test_an_error_of_an_own_loss_names_its_place() -> None:
    settings = trial_of("loss focal").settings.training
    wrong = settings.model_copy(update={"loss": loss_of(name="tests.support.own_losses:raises")})
    with pytest.raises(LossError, match=r"made-up logits: IndexError: no class 0 \(.*own_losses.py, "):
        check_training(wrong, dataset())


def test_a_loss_that_depends_on_the_batch_can_be_allowed() -> None:
    settings = trial_of("loss focal").settings.training
    loss = loss_of(name="tests.support.own_losses:centred")
    check_training(settings.model_copy(update={"loss": loss, "allow_rank_dependent": True}), dataset())


def test_every_loss_has_a_function() -> None:
    trials = [trial_of(name) for name in ("loss cross_entropy", "loss binary", "loss focal")]
    assert {type(each.settings.training.loss) for each in trials} == set(FUNCTIONS)
