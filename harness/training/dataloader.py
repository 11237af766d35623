"""Datasets that reside on a device or in the host's memory, and each rank's shares of their batches."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from harness.data import Dataset, Split
from harness.training.distributed import ProcessGroup
from harness.training.rng import permutation
from harness.training.staging import Staging

EVAL_BATCH_SIZE = 500

DataOn = Literal["auto", "device", "host"]
_MOST_OF_FREE_MEMORY = 0.5  # of a GPU, for data: models and activations need some, too


@dataclass(frozen=True)
class Share:
    """One rank's part of `size` samples that pass the model together: indices (n,), from `first_row` on.

    `batch` has the indices of the whole global batch, and rows are counted in it.
    """

    chosen: Tensor
    first_row: int
    size: int
    batch: Tensor

    @classmethod
    def of(cls, batch: Tensor, first_row: int, rows: int) -> Share:
        """Return the share of so many rows of a global batch."""
        return cls(batch[first_row : first_row + rows], first_row, len(batch), batch)

    def parts(self, count: int, world: ProcessGroup) -> Iterator[Share]:
        """Yield this rank's shares of the batch's `count` parts, one after the other, without empty parts."""
        if count == 1:
            yield self
            return
        for part in range(count):
            begin, end = (len(self.batch) * each // count for each in (part, part + 1))
            start, stop = (begin + each for each in world.share(end - begin))
            if end > begin:
                yield Share(self.batch[start:stop], start, end - begin, self.batch)


@dataclass(frozen=True)
class Resident:
    """One split on a device: samples (N, …) as they are stored, labels int64 (N,).

    Bytes are divided by 255. `scaling` is the mean and the standard deviation that samples are normalized by.
    With `staging` the images are in the host's memory, and those of a share on the device until the next
    share of the split is asked for.
    """

    images: Tensor
    labels: Tensor
    dtype: torch.dtype
    scaling: tuple[Tensor, Tensor] | None = None
    staging: Staging | None = None

    @classmethod
    def of(
        cls,
        split: Split,
        device: torch.device,
        dtype: torch.dtype,
        scaling: tuple[list[float], list[float]] | None = None,
        *,
        on_host: bool = False,
    ) -> Resident:
        """Copy a split to the device; on the CPU the images stay in the memory that all ranks share."""
        labels = torch.from_numpy(split.labels).to(device=device, dtype=torch.int64)
        images = torch.from_numpy(split.images).to(torch.device("cpu") if on_host else device)
        shape = (-1, *[1] * (images.dim() - 2))
        tensors = [torch.tensor(each, dtype=dtype, device=device).view(shape) for each in scaling or ()]
        staging = Staging(images, device) if on_host else None
        return cls(images, labels, dtype, (tensors[0], tensors[1]) if tensors else None, staging)

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, batch_size: int) -> int:
        """Return the number of batches in a pass; the last may be smaller."""
        return math.ceil(len(self) / batch_size)

    def gather(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return the chosen samples, bytes scaled to [0, 1], normalized if asked for, and their labels."""
        images, labels = self.gather_plain(chosen)
        return self.normalize_(images), labels

    def gather_plain(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return them before they are normalized."""
        stored, places = self.staging.current(chosen) if self.staging else (self.images, chosen)
        images = stored.index_select(0, places).to(self.dtype)
        if stored.dtype == torch.uint8:
            images.div_(255)
        return images, self.labels.index_select(0, chosen)

    def normalize_(self, images: Tensor) -> Tensor:
        """Normalize samples in place if that is asked for."""
        if self.scaling is None:
            return images
        mean, std = self.scaling
        return images.sub_(mean).div_(std)

    def train_shares(
        self,
        seed: int,
        epoch: int,
        batch_size: int,
        world: ProcessGroup,
        first_step: int = 0,
        *,
        whole: bool = False,
    ) -> Iterator[Share]:
        """Yield this rank's shares of an epoch's batches, in the seed's order; the last may be smaller.

        The first `first_step` batches are left out. `whole` has all samples of a batch at hand, not only the
        rank's own.
        """
        order = permutation(seed, epoch, len(self))
        yield from self._shares(order, batch_size, world, first_step, whole=whole)

    def eval_shares(self, world: ProcessGroup) -> Iterator[Share]:
        """Yield this rank's shares of all samples, in the order of the file, each sample once."""
        yield from self._shares(torch.arange(len(self)), EVAL_BATCH_SIZE, world)

    def _shares(
        self, order: Tensor, batch_size: int, world: ProcessGroup, first_step: int = 0, *, whole: bool = False
    ) -> Iterator[Share]:
        batches, on_host = (
            torch.split(each, batch_size)[first_step:] for each in (order.to(self.labels.device), order)
        )
        spans = [world.share(len(batch)) for batch in batches]
        wanted = [
            batch if whole else batch[start:stop] for batch, (start, stop) in zip(on_host, spans, strict=True)
        ]
        uploads = self.staging.uploaded(wanted) if self.staging else itertools.repeat(None)
        for batch, (start, stop), _ in zip(batches, spans, uploads, strict=False):
            yield Share.of(batch, start, stop - start)


@dataclass(frozen=True)
class ResidentDataset:
    """The splits of a dataset on a device."""

    train: Resident
    test: Resident
    image_shape: tuple[int, ...]
    num_classes: int
    validation: Resident | None = None

    @property
    def evaluated(self) -> dict[str, Resident]:
        """Return the splits that are evaluated after each epoch."""
        return {"test": self.test} | ({"validation": self.validation} if self.validation else {})

    @property
    def eval_batches(self) -> int:
        """Return the number of batches that are evaluated after each epoch."""
        return sum(split.batches(EVAL_BATCH_SIZE) for split in self.evaluated.values())

    @property
    def samples(self) -> dict[str, int]:
        """Return the number of samples of each split."""
        return {name: len(split) for name, split in {"train": self.train, **self.evaluated}.items()}

    @classmethod
    def of(
        cls, dataset: Dataset, device: torch.device, dtype: torch.dtype, data_on: DataOn = "auto"
    ) -> ResidentDataset:
        """Copy a dataset to the device, or leave it on the host: `auto` does so if it is too large."""
        splits = [split for split in (dataset.train, dataset.test, dataset.validation) if split]
        on_host = data_on == "host" or (data_on == "auto" and not _fits(splits, device))

        def resident(split: Split) -> Resident:
            return Resident.of(split, device, dtype, dataset.scaling, on_host=on_host)

        validation = resident(dataset.validation) if dataset.validation else None
        shape, classes = dataset.image_shape, dataset.num_classes
        return cls(resident(dataset.train), resident(dataset.test), shape, classes, validation)


def _fits(splits: list[Split], device: torch.device) -> bool:
    """Tell whether the samples leave enough of a GPU's memory free; on a CPU they are where they were."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return sum(split.images.nbytes for split in splits) <= _MOST_OF_FREE_MEMORY * free
