"""A dataset that lives on a device, and the global batches that are cut out of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.data import Dataset, Split
from harness.training.randomness import permutation
from harness.training.world import World

EVAL_BATCH_SIZE = 500


@dataclass(frozen=True)
class Batch:
    """One rank's share of a global batch of `size` samples; the share starts at `first_row` of it."""

    images: Tensor
    labels: Tensor
    first_row: int
    size: int


@dataclass(frozen=True)
class Resident:
    """One split on a device: images uint8 (N, 1, S, S), labels int64 (N,)."""

    images: Tensor
    labels: Tensor
    dtype: torch.dtype

    @classmethod
    def of(cls, split: Split, device: torch.device, dtype: torch.dtype) -> Resident:
        """Move a split to the device; on the CPU the images stay in the memory that all ranks share."""
        labels = torch.from_numpy(split.labels).to(device=device, dtype=torch.int64)
        return cls(torch.from_numpy(split.images).to(device), labels, dtype)

    def __len__(self) -> int:
        return len(self.labels)

    def train_batches(self, seed: int, epoch: int, batch_size: int, world: World) -> Iterator[Batch]:
        """Yield this rank's shares of an epoch's batches, in the seed's order; the last may be smaller."""
        order = permutation(seed, epoch, len(self)).to(self.images.device)
        yield from self._batches(order, batch_size, world)

    def eval_batches(self, world: World) -> Iterator[Batch]:
        """Yield this rank's shares of all samples, in the order of the file, each sample once."""
        yield from self._batches(torch.arange(len(self), device=self.images.device), EVAL_BATCH_SIZE, world)

    def _batches(self, order: Tensor, batch_size: int, world: World) -> Iterator[Batch]:
        for chosen in torch.split(order, batch_size):
            start, stop = world.share(len(chosen))
            mine = chosen[start:stop]
            images = self.images.index_select(0, mine).to(self.dtype).div_(255)
            yield Batch(images, self.labels.index_select(0, mine), start, len(chosen))


@dataclass(frozen=True)
class ResidentDataset:
    """Both splits on a device."""

    train: Resident
    test: Resident
    image_shape: tuple[int, int, int]
    num_classes: int

    @classmethod
    def of(cls, dataset: Dataset, device: torch.device, dtype: torch.dtype) -> ResidentDataset:
        """Move a dataset to the device."""
        train, test = (Resident.of(split, device, dtype) for split in (dataset.train, dataset.test))
        return cls(train, test, dataset.image_shape, dataset.num_classes)
