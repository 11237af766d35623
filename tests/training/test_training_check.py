"""Whether loss and augmentations fit the data; what the mistakes of suites do not show already."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.errors import AugmentationError
from harness.training.training_check import check_training
from tests.support.training_settings import dataset, trial_of


@pytest.mark.parametrize("name", ["flip", "cutmix", "color_jitter", "several augmentations"])
def test_features_are_no_images(name: str) -> None:
    settings, made_up = trial_of(name).settings.training, dataset()
    train = replace(made_up.train, images=made_up.train.images.reshape(42, -1))
    with pytest.raises(AugmentationError, match=r"\(192,\), expected images \(channels, height, width\)"):
        check_training(settings, replace(made_up, train=train))
    check_training(trial_of("mixup").settings.training, replace(made_up, train=train))


def test_colours_are_those_of_values_from_0_to_1() -> None:
    settings, made_up = trial_of("color_jitter").settings.training, dataset()
    floats = replace(made_up.train, images=(made_up.train.images / 255).astype(np.float32))
    check_training(settings, replace(made_up, train=floats))
    with pytest.raises(AugmentationError, match=r"expected all in \[0, 1\]"):
        check_training(settings, replace(made_up, train=replace(floats, images=2 * floats.images - 1)))
