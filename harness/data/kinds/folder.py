"""Images in folders, one a class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ConfigDict, Field

from harness.data.files import place
from harness.data.folders import Search
from harness.data.image_files import SUFFIXES, ImageFiles
from harness.data.kinds.at_path import AtPath
from harness.data.raw import Raw, RawSplit
from harness.data.settings import TestSplit
from harness.errors import DataError
from harness.strict import added_later

_PARTS = {"train": True, "test": True, "val": False}  # whether it is required
_PASSED_OVER = ("thumbs.db", "desktop.ini")


class Folder(AtPath):
    """Folder of images: `train/CLASS/…`, `test/CLASS/…`, maybe `val/CLASS/…`; or `CLASS/…` and `split`."""

    model_config = ConfigDict(title="folder")

    name: Literal["folder"] = Field(description="Kind of the dataset.")
    path: str = Field(description="Path of the folder, relative to the suite's file.", examples=["flowers"])
    split: TestSplit | None = added_later(
        None, description="How the images are split where the folder has one level of classes."
    )

    def is_here(self, search: Search) -> bool:
        """Return True; raise DataError if there is no such folder, or no image in it."""
        return bool(self._parts(search))

    def identity(self, search: Search) -> Any:
        """Return path, size and times of every file: reading all of them at each start would take long."""
        root = place(self.path, search)
        files = [path for found in self._parts(search).values() for path, _ in found]
        stats = [(path, path.stat()) for path in files]
        return [
            [str(path.relative_to(root)), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
            for path, stat in stats
        ]

    def read(self, search: Search) -> Raw:
        """Look at all images; they are decoded when they are asked for."""
        parts = self._parts(search)
        images = ImageFiles.of([path for found in parts.values() for path, _ in found], self.resize)
        splits: dict[str, RawSplit] = {}
        start = 0
        for name, found in parts.items():
            own = images.some(start, start + len(found))
            labels = np.array([label for _, label in found])
            splits[name] = RawSplit(own, labels, lambda row, own=own: str(own.paths[row]))  # type: ignore[misc]
            start += len(found)
        return Raw(splits["train"], splits.get("test"), splits.get("val"))

    def _parts(self, search: Search) -> dict[str, list[tuple[Path, str]]]:
        """Return images and their classes by part, sorted."""
        root = place(self.path, search)
        if not root.is_dir():
            kind = "a file" if root.exists() else "nothing"
            raise DataError(f"{root}: found {kind}, expected a folder of images, a folder a class")
        if self.split:
            if (root / "train").is_dir() and (root / "test").is_dir():
                raise DataError(f"{root}: found train, test and `split`; leave `split` out")
            return {"train": list(_images(root))}
        for part, is_required in _PARTS.items():
            if is_required and not (root / part).is_dir():
                found = ", ".join(path.name for path in _inside(root)[:8]) or "nothing"
                wanted = "the folders train and test, or `split: {test: 0.2}` in the suite"
                raise DataError(f"{root}: found {found}, expected {wanted}")
        return {part: list(_images(root / part)) for part in _PARTS if (root / part).is_dir()}


def _inside(folder: Path) -> list[Path]:
    """List what lies in a folder, by name, without what systems leave there."""
    found = sorted(folder.iterdir(), key=lambda path: path.name)
    return [path for path in found if path.name[0] != "." and path.name.lower() not in _PASSED_OVER]


def _images(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield each image with its class; files beside the classes' folders are passed over."""
    classes = [path for path in _inside(folder) if path.is_dir()]
    if not classes:
        raise DataError(f"{folder}: found no folder in it, expected one for each class")
    for path in classes:
        files = _inside(path)
        if not files:
            raise DataError(f"{path}: found no image, expected one or more; fill or remove it")
        for file in files:
            if file.suffix.lower() not in SUFFIXES:
                kinds = ", ".join(each.removeprefix(".") for each in SUFFIXES)
                raise DataError(f"{file}: found no image, expected one ({kinds}); remove it")
            yield file, path.name
