"""A trial's augmentations: their random numbers, the partners of mixed samples, and the augmented batch.

A random number is a hash of the trial's seed, the epoch, the sample's index in the training set, and which
augmentation's which draw it is: ranks, engines and the order of a batch do not change it. Nothing here waits
for the device, and all that changes from step to step is a tensor, so that a captured graph draws anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.config import augmentations as settings
from harness.config.augmentations import AugmentationSettings, MixingSettings
from harness.training.augment.affine import rand_augment_affine, rotation
from harness.training.augment.color import color_jitter
from harness.training.augment.crops import flip, pad_crop, shift
from harness.training.augment.erasing import ATTEMPTS, cutout, random_erasing
from harness.training.augment.mixing import cutmix, mixup, quantiles
from harness.training.dataloader import Resident, Share
from harness.training.losses import Targets
from harness.training.rng import derive, hashed, mix


@dataclass(frozen=True)
class Augmentation:
    """A function of settings and samples, and how many random numbers it draws for each of them."""

    function: Callable[..., Any]
    draws: Callable[[Any], int]


FUNCTIONS: dict[type[AugmentationSettings], Augmentation] = {
    settings.PadCrop: Augmentation(pad_crop, lambda _: 2),
    settings.Shift: Augmentation(shift, lambda _: 2),
    settings.Rotation: Augmentation(rotation, lambda _: 1),
    settings.Flip: Augmentation(flip, lambda _: 1),
    settings.Cutout: Augmentation(cutout, lambda _: 2),
    settings.RandomErasing: Augmentation(random_erasing, lambda _: 3 + 2 * ATTEMPTS),
    settings.ColorJitter: Augmentation(color_jitter, lambda _: 4),
    settings.MixUp: Augmentation(mixup, lambda _: 2),
    settings.CutMix: Augmentation(cutmix, lambda _: 4),
    settings.RandAugmentAffine: Augmentation(rand_augment_affine, lambda each: 2 * each.num_ops),
}


class Augmenter:
    """Augments the training batches of a trial on `size` samples; without augmentations it only gathers."""

    def __init__(
        self,
        augmentations: Sequence[AugmentationSettings],
        seed: int,
        size: int,
        batch_size: int,
        device: torch.device,
    ) -> None:
        self._all, self._steps_per_epoch = augmentations, math.ceil(size / batch_size)
        self._samples = hashed(
            derive(seed, "augment"), torch.arange(size if augmentations else 0, device=device)
        )
        self._rotation_key = _int32(derive(seed, "partners"))
        self._widths = [FUNCTIONS[type(each)].draws(each) for each in augmentations]
        keys = [
            _int32(derive(seed, "augment", place, each.name, draw))
            for place, (each, width) in enumerate(zip(augmentations, self._widths, strict=True))
            for draw in range(width)
        ]
        self._keys = torch.tensor(keys, dtype=torch.int32, device=device)
        alphas = [each.alpha for each in augmentations if isinstance(each, MixingSettings)]
        self._quantiles = quantiles(alphas[0]).to(device) if alphas else None

    @property
    def mixes(self) -> bool:
        """Tell whether samples are mixed with others of their batch."""
        return self._quantiles is not None

    def batch(self, data: Resident, share: Share, chosen: Tensor, step: Tensor) -> tuple[Tensor, Targets]:
        """Return the images and targets of the chosen samples, which are a rank's share of a global batch.

        `step` is an int64 scalar on the device.
        """
        if not self._all:
            images, labels = data.gather(chosen)
            return images, Targets(labels)
        rows = len(chosen)
        samples = chosen if self._quantiles is None else torch.cat((chosen, self.partners(share, rows, step)))
        images, labels = data.gather_plain(samples)
        targets = Targets(labels[:rows])
        draws = torch.split(self.draws(samples, step), self._widths, 1)
        for each, drawn in zip(self._all, draws, strict=True):
            function = FUNCTIONS[type(each)].function
            if isinstance(each, MixingSettings):
                images, weight = function(each, images[:rows], images[rows:], drawn[:rows], self._quantiles)
                targets = Targets(labels[:rows], labels[rows:], weight)
            else:
                images = function(each, images, drawn[: len(images)])
        return data.normalize_(images), targets

    def draws(self, samples: Tensor, step: Tensor) -> Tensor:
        """Return the random numbers of all augmentations, from [0, 1); float64 (N, draws)."""
        epoch = (step // self._steps_per_epoch).int()
        bits = mix(self._samples.index_select(0, samples)[:, None] ^ mix(epoch ^ self._keys))
        return (bits.double() + 2**31) * 2**-32

    def partners(self, share: Share, rows: int, step: Tensor) -> Tensor:
        """Return the samples that the share's first rows are mixed with, none with itself; int64 (rows,).

        All rows of the global batch, whose order is random, are rotated by a random number of rows.
        """
        size, bits = len(share.batch), mix(step.int() ^ self._rotation_key).long() + 2**31
        rotation = 1 + (bits * (size - 1) >> 32)
        row = torch.arange(share.first_row, share.first_row + rows, device=step.device)
        return share.batch.index_select(0, (row + rotation) % size)


def _int32(seed: int) -> int:
    """Return the low word of a derived seed as a number that int32 holds."""
    return seed % 2**32 - 2**31
