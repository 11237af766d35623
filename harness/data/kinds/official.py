"""KMNIST, Fashion-MNIST and MNIST: official idx files, found or downloaded, and checked."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from harness.data.download import fetch
from harness.data.folders import Search, download_root
from harness.data.idx import read_split
from harness.data.official_sources import SOURCES, Source, check, locate, places
from harness.data.raw import Raw, RawSplit
from harness.data.settings import DatasetSettings, Facts


class OfIdxFiles(DatasetSettings):
    """A dataset of four idx files."""

    @property
    def source(self) -> Source:
        """Return its files and sizes."""
        return SOURCES[self.name]

    @property
    def facts(self) -> Facts:
        """Return what its files hold."""
        source = self.source
        where = f"torchvision.datasets.{source.torchvision}" if source.torchvision else "in the package"
        return Facts((source.train_images, source.test_images), (28, 28, 1), len(source.classes), where)

    def is_here(self, search: Search) -> bool:
        """Tell whether all four files are here; raise DataError if one is not the official one."""
        return locate(self.source, search.roots) is not None

    def identity(self, search: Search) -> Any:
        """Return the checksums of the official files."""
        return self.source.md5s

    def read(self, search: Search) -> Raw:
        """Read local or newly downloaded official files."""
        source = self.source
        folder = locate(source, search.roots)
        if folder is None:
            folder = places(source, [download_root(search.env)])[0]
            fetch(source, search.roots, folder, search.say)
            check(source, folder)
        train, test = (RawSplit(*read_split(folder, part, len(source.classes))) for part in ("train", "t10k"))
        return Raw(train, test, classes=source.classes)


class Official(OfIdxFiles):
    """Published dataset in the idx format of MNIST: 28 x 28 grey images in 10 classes."""

    model_config = ConfigDict(title="official idx files")

    name: Literal["fashion_mnist", "kmnist", "mnist"] = Field(
        description="Name of the dataset, which is downloaded if it is not found."
    )
