"""A tiny "kmnist" that is downloaded from a folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.data import Dataset, DatasetSettings, download, load, named
from harness.data.cache import folder_of
from harness.data.folders import Search
from harness.data.official_sources import SOURCES, Source


@dataclass(frozen=True)
class Place:
    """A tiny "kmnist" with its official files, and a user's empty cache."""

    source: Source
    official: Path
    env: dict[str, str]

    @property
    def cache(self) -> Path:
        return Path(self.env["XDG_CACHE_HOME"]) / "harness"

    @property
    def raw(self) -> Path:
        return self.cache / "data/KMNIST/raw"

    @property
    def resized(self) -> Path:
        return folder_of(self.settings, Search(None, self.env, print))

    @property
    def settings(self) -> DatasetSettings:
        return named("kmnist", 8)

    def load(self, data_dir: Path | None = None, say: Callable[[str], None] = lambda _: None) -> Dataset:
        return load(self.settings, data_dir, self.env, say)


def serve(place: Place) -> None:
    """Make `place`'s files official and downloadable; each download leaves a line in a file."""

    def copy(url: str, path: Path) -> None:
        with (place.official / "downloads").open("a") as log:
            log.write(f"{url}\n")
        shutil.copy(place.official / path.name, path)

    def addresses(torchvision_class: str, file: str) -> list[str]:
        return [f"https://example.org/{file}"]

    SOURCES["kmnist"] = place.source
    download.download = copy
    download.addresses = addresses


def fail(error: Exception) -> Callable[[str, Path], None]:
    def failing(url: str, path: Path) -> None:
        raise error

    return failing


def downloads(place: Place) -> list[str]:
    log = place.official / "downloads"
    return log.read_text().split() if log.exists() else []
