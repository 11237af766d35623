"""Random numbers of augmentations and partners of mixed samples: the same wherever a sample is trained."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from harness.config.augmentations import AugmentationSettings
from harness.config.settings import Training
from harness.data import Split
from harness.training.augment.augmenter import Augmenter
from harness.training.dataloader import Resident, Share
from harness.training.losses import Targets
from harness.training.prepared_trial import prepare
from tests.support.ranks import ALONE, CPU
from tests.support.training_settings import SETTINGS, data_of, dataset, trial_of
from tests.support.trials import ADAM

AUGMENTED = {name: each["augment"] for name, each in SETTINGS.items() if "augment" in each}
DATA = data_of(trial_of("flip"), ALONE).train
BATCH = torch.tensor([7, 3, 41, 0, 12, 30, 8, 22, 5])
STEP = torch.tensor(11)
DRAWN = [[1836963013, 44071995], [1263674352, 2893014715], [1532554257, 1902942952]]


def settings_of(augment: list[dict[str, Any]]) -> list[AugmentationSettings]:
    fields = {"epochs": 1, "batch_size": 1, "optimizer": ADAM, "augment": augment}
    return Training.model_validate(fields).augment


def augmenter_of(name: str, seed: int = 3, size: int = 42) -> Augmenter:
    return Augmenter(settings_of(AUGMENTED[name]), seed, size, size // 3, CPU)


def shares_of(ranks: int) -> list[Share]:
    edges = [len(BATCH) * rank // ranks for rank in range(ranks + 1)]
    return [Share.of(BATCH, start, stop - start) for start, stop in itertools.pairwise(edges)]


def batches(name: str, ranks: int, step: Tensor = STEP, seed: int = 3) -> list[Tensor]:
    """Return images, labels, and where they are mixed partners' labels and shares, of all ranks."""
    augmenter = augmenter_of(name, seed)
    found = []
    for share in shares_of(ranks):
        images, targets = augmenter.batch(DATA, share, share.chosen, step)
        mixed = [] if targets.mixed_in is None or targets.share is None else [targets.mixed_in, targets.share]
        found.append([images, targets.labels, *mixed])
    return [torch.cat(parts) for parts in zip(*found, strict=True)]


@pytest.mark.parametrize("name", AUGMENTED)
def test_a_batch_is_the_same_on_any_number_of_ranks(name: str) -> None:
    whole = batches(name, 1)
    assert not torch.equal(whole[0], DATA.gather(BATCH)[0])
    assert whole[0].dtype == torch.float64
    for ranks in (2, 3, 9):
        assert all(torch.equal(*pair) for pair in zip(batches(name, ranks), whole, strict=True))


@pytest.mark.parametrize("name", AUGMENTED)
def test_another_epoch_or_seed_draws_anew_and_another_step_of_the_epoch_only_partners(name: str) -> None:
    (images, _, *mixed), (again, *_) = batches(name, 1), batches(name, 1, torch.tensor(10))
    assert torch.equal(images, again) == (not mixed)
    for step, seed in ((12, 3), (0, 3), (11, 4)):
        assert not torch.equal(batches(name, 1, torch.tensor(step), seed)[0], images)


class NoWait(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses what makes a host wait for a GPU or copies a number to it, and shapes that depend on data."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    waits = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "lift_fresh")

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        assert not any(each in str(function) for each in self.waits), function
        if "aten.where" in str(function):  # it copies a number to the device
            assert all(each.dim() for each in arguments), function
        indices = arguments[1] if "aten.index.Tensor" in str(function) else ()
        assert not any(each is not None and each.dtype == torch.bool for each in indices), function
        return function(*arguments, **(named or {}))


@pytest.mark.parametrize("name", AUGMENTED)
def test_nothing_waits_for_the_device(name: str) -> None:
    augmenter, (share,) = augmenter_of(name), shares_of(1)
    with NoWait():
        augmenter.batch(DATA, share, share.chosen, STEP)


def test_a_wait_is_found() -> None:
    with NoWait(), pytest.raises(AssertionError, match="_local_scalar_dense"):
        torch.zeros(2).sum().item()
    with NoWait(), pytest.raises(AssertionError, match="where"):
        torch.where(DATA.labels > 1, DATA.labels, 0)
    with NoWait(), pytest.raises(AssertionError, match="index"):
        DATA.labels[DATA.labels > 1]


def test_without_augmentations_a_batch_is_what_is_gathered() -> None:
    (share,) = shares_of(1)
    images, targets = Augmenter([], 3, 42, 14, CPU).batch(DATA, share, BATCH, STEP)
    assert torch.equal(images, DATA.gather(BATCH)[0])
    assert torch.equal(targets.labels, DATA.labels[BATCH])
    assert targets == Targets(targets.labels)


def test_samples_are_normalized_once_they_are_augmented() -> None:
    scaling = ([0.2, 0.3, 0.4], [0.5, 0.6, 0.7])
    scaled = Resident.of(dataset().train, CPU, torch.float64, scaling)
    (share,), augmenter = shares_of(1), augmenter_of("several augmentations")
    plain, found = (augmenter.batch(data, share, share.chosen, STEP)[0] for data in (DATA, scaled))
    mean, std = (torch.tensor(each, dtype=torch.float64).view(3, 1, 1) for each in scaling)
    torch.testing.assert_close(found, (plain - mean) / std, rtol=1e-12, atol=1e-12)


def test_features_are_mixed() -> None:
    features = np.random.default_rng(0).random((42, 5))
    data = Resident.of(Split(features, dataset().train.labels), CPU, torch.float64)
    (share,) = shares_of(1)
    mixed, targets = augmenter_of("mixup").batch(data, share, share.chosen, STEP)
    assert targets.share is not None
    partners = augmenter_of("mixup").partners(share, len(BATCH), STEP)
    one, other = (data.gather(each)[0] for each in (BATCH, partners))
    torch.testing.assert_close(mixed, torch.lerp(other, one, targets.share[:, None]))


def test_random_numbers_never_change() -> None:
    draws = augmenter_of("pad_crop", size=60000).draws(torch.tensor([0, 1, 59999]), torch.tensor(4))
    assert (draws * 2**32).long().tolist() == DRAWN


def test_random_numbers_are_uniform_and_independent() -> None:
    augmenter = Augmenter(
        settings_of([{"name": "color_jitter", "brightness": 0.1}] * 2), 3, 20000, 20000, CPU
    )
    samples = torch.arange(20000)
    columns = torch.cat([augmenter.draws(samples, torch.tensor(epoch)) for epoch in (0, 1)], 1).T
    assert columns.shape == (16, 20000)  # two epochs of two augmentations of four draws
    for each in columns:
        assert scipy.stats.kstest(each.numpy(), "uniform").pvalue > 1e-3
    correlations = torch.corrcoef(torch.cat((columns, columns[:, :1].roll(1, 0)), 1)) - torch.eye(16)
    assert float(correlations.abs().max()) < 0.03
    neighbours = torch.corrcoef(torch.stack((columns[0, :-1], columns[0, 1:])))[0, 1]
    assert abs(float(neighbours)) < 0.03


@pytest.mark.parametrize("size", [1, 2, 7, 16])
def test_partners_are_all_of_the_batch_and_none_its_own(size: int) -> None:
    augmenter, batch = augmenter_of("mixup"), torch.arange(20, 20 + size)
    seen = set()
    for step in range(60):
        partners = augmenter.partners(Share.of(batch, 0, size), size, torch.tensor(step))
        assert sorted(partners.tolist()) == batch.tolist()
        assert size == 1 or not (partners == batch).any()
        seen.add(int(partners[0]))
    assert len(seen) == max(size - 1, 1)


def test_the_training_accuracy_is_against_the_heavier_label() -> None:
    trial = trial_of("mixup")
    data = data_of(trial, ALONE)
    step = prepare(trial, data, ALONE).step
    share = next(data.train.train_shares(trial.seed, 1, 16, ALONE))
    images, targets = step.augmenter.batch(data.train, share, share.chosen, step.shard.step)
    assert not torch.equal(targets.heavier, targets.labels)
    logits = prepare(trial, data, ALONE).step
    with logits.takeover.functions(), logits.shard.active():
        logits.shard.set(0, 16, 16)
        expected = int((logits.model(images).argmax(1) == targets.heavier).sum())
    step.train(share)
    assert step.totals.sums[1] == expected
