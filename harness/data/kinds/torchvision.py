"""Datasets of torchvision by name, found in its layout or downloaded by it."""

from __future__ import annotations

import http.client
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Self

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from harness.data.download import with_timeout
from harness.data.folders import Search, download_root
from harness.data.image_files import pixels, stacked
from harness.data.raw import Array, Bytes, Raw, RawSplit
from harness.data.settings import DatasetSettings, Facts, TestSplit
from harness.data.torchvision_sets import SETS, TorchvisionSet
from harness.errors import DataError
from harness.strict import added_later

_LABELS = ("targets", "labels", "_labels")
_SAMPLES = ("samples", "_samples")  # (path, label)


class Torchvision(DatasetSettings):
    """Dataset of `torchvision.datasets`, in its official splits."""

    model_config = ConfigDict(title="torchvision datasets")

    name: Literal[
        "cifar10",
        "cifar100",
        "dtd",
        "emnist_balanced",
        "emnist_byclass",
        "emnist_bymerge",
        "emnist_digits",
        "emnist_letters",
        "emnist_mnist",
        "eurosat",
        "fgvc_aircraft",
        "flowers102",
        "food101",
        "gtsrb",
        "imagenette",
        "imagenette_160px",
        "imagenette_320px",
        "oxford_iiit_pet",
        "qmnist",
        "stl10",
        "svhn",
        "usps",
    ] = Field(description="Name of the dataset, which is downloaded if it is not found.")
    split: TestSplit | None = added_later(
        None, description="How a dataset without a test set (`eurosat`) is split."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.official.shape is None and self.resize is None:
            raise ValueError(f"{self.name} without `resize`, expected one: its images differ in size")
        if (self.official.test is None) != (self.split is not None):
            if self.split:
                raise ValueError(f"`split`, expected none: {self.name} has a test set; leave it out")
            raise ValueError(f"{self.name} without `split`, expected one such as {{test: 0.2}}: no test set")
        return self

    @property
    def official(self) -> TorchvisionSet:
        """Return how torchvision has it."""
        return SETS[self.name]

    @property
    def facts(self) -> Facts:
        """Return what torchvision says of it."""
        official = self.official
        source = f"torchvision.datasets.{official.cls}"
        return Facts(official.sizes, official.shape, official.num_classes, source)

    def is_here(self, search: Search) -> bool:
        """Tell whether a root holds its files; they are checked when they are read."""
        return self._root(search) is not None

    def identity(self, search: Search) -> Any:
        """Return the class: what is published does not change."""
        return ["torchvision", self.official.cls]

    def read(self, search: Search) -> Raw:
        """Read it by torchvision, which downloads it if it is not here."""
        root = self._root(search) or self._downloaded(search)
        splits: list[RawSplit] = []
        classes: tuple[str, ...] = ()
        for arguments, size in zip(self.official.parts, self.official.sizes, strict=True):
            with self._explained(root):
                dataset = self._made(root, arguments)
                images = _TorchvisionImages.of(dataset, self.official, self.resize)
                labels = _labels(dataset)
            if len(labels) != size:
                found = f"found {len(labels):,} images, expected {size:,}"
                raise DataError(f"{root}: {self.name}: {found}; remove its files and load it again")
            classes = _classes(dataset, self.official)
            first = int(classes[0] == "N/A")  # EMNIST's letters are numbered from 1
            classes = classes[first:]
            splits.append(RawSplit(images, labels - first, lambda row: f"{self.name}: row {row}"))
        return Raw.of(splits, classes)

    def _root(self, search: Search) -> Path | None:
        """Return the first root, or folder of its name in one, with its files in torchvision's layout."""
        folders = [root / inside for root in search.roots for inside in (self.name, ".")]
        return next((f for f in folders if all((f / file).exists() for file in self.official.files)), None)

    def _made(self, root: Path, arguments: Mapping[str, Any], *, download: bool = False) -> Any:
        import torchvision.datasets  # type: ignore[import-untyped]

        return getattr(torchvision.datasets, self.official.cls)(str(root), download=download, **arguments)

    def _downloaded(self, search: Search) -> Path:
        """Have torchvision download all parts; return the root, which is there whole or not at all."""
        folder = download_root(search.env) / self.name
        folder.parent.mkdir(parents=True, exist_ok=True)
        search.say(f"downloading {self.name} to {folder}, by torchvision")
        with TemporaryDirectory(dir=folder.parent, prefix=".download-", ignore_cleanup_errors=True) as new:
            try:
                with with_timeout():
                    for arguments in self.official.parts:
                        self._made(Path(new), arguments, download=True)
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                raise DataError(self._not_found(search, error)) from error
            shutil.rmtree(folder, ignore_errors=True)  # without some of its files
            Path(new).rename(folder)
            Path(new).mkdir()  # for TemporaryDirectory to remove
        return folder

    def _not_found(self, search: Search, error: Exception) -> str:
        lines = [
            f"{self.name}: its files are not on this machine and could not be downloaded: {error}",
            "Put these into one of the folders below, as torchvision.datasets."
            f"{self.official.cls} lays them out, or into a folder {self.name} there:",
            *(f"  {file}" for file in self.official.files),
            "Looked in:",
            *(f"  {root}" for root in search.roots),
        ]
        return "\n".join(lines)

    @contextmanager
    def _explained(self, root: Path) -> Iterator[None]:
        """Raise DataError for what torchvision raises on damaged or incomplete files."""
        try:
            yield
        except DataError:
            raise
        except Exception as error:
            text = " ".join(str(error).split()).removesuffix(". You can use download=True to download it")
            raise DataError(f"{root}: {self.name}: {text}; replace its files, or remove them") from error


@dataclass(frozen=True)
class _TorchvisionImages:
    """Images of one of torchvision's datasets, decoded when they are asked for."""

    dataset: Any
    mode: str
    resize: int | None
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return uint8."""
        return np.dtype(np.uint8)

    @classmethod
    def of(cls, dataset: Any, official: TorchvisionSet, resize: int | None) -> _TorchvisionImages:
        channels = official.shape[2] if official.shape else 3
        rows, columns = (resize, resize) if resize else (official.shape or (0, 0))[:2]
        return cls(dataset, "L" if channels == 1 else "RGB", resize, (len(dataset), rows, columns, channels))

    def __getitem__(self, rows: Array) -> Array:
        """Decode the images of these rows."""
        return stacked(self._decoded, rows, self.shape)

    def _decoded(self, row: int) -> Bytes:
        try:
            return pixels(self.dataset[row][0], self.mode, self.resize)
        except Exception as error:  # whatever torchvision and PIL raise on damaged files
            raise DataError(
                f"{self.dataset.root}: image {row} cannot be read ({error}); replace it"
            ) from error


def _classes(dataset: Any, official: TorchvisionSet) -> tuple[str, ...]:
    """Return the names of the classes by their numbers; of Imagenette's synonyms the first."""
    found = (each if isinstance(each, str) else each[0] for each in getattr(dataset, "classes", ()))
    return official.classes or tuple(found) or tuple(map(str, range(official.num_classes)))


def _labels(dataset: Any) -> Array:
    """Return the labels of all samples, without decoding images."""
    for name in _LABELS:
        if hasattr(dataset, name):
            labels = np.asarray(getattr(dataset, name))
            return (labels[:, 0] if labels.ndim == 2 else labels).astype(np.int64)  # QMNIST has more columns
    samples = next(getattr(dataset, name) for name in _SAMPLES if hasattr(dataset, name))
    return np.array([label for _, label in samples], np.int64)
