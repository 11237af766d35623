"""A tiny data set of every kind, made of a few files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from harness.data import DatasetSettings, named
from harness.data.idx import write
from harness.data.kinds.csv import Csv
from harness.data.kinds.folder import Folder
from harness.data.kinds.npz import Npz
from harness.data.kinds.official import Official
from harness.data.kinds.own import Own
from harness.data.kinds.sample import Sample
from harness.data.kinds.torchvision import Torchvision
from harness.data.official_files import FILES
from harness.data.official_sources import SOURCES, Source
from harness.data.settings import TestSplit, Validation
from tests.support import tiny_torchvision

CLASSES = ("daisy", "rose", "tulip")
OWN = """\
import numpy as np

def flowers(count):
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 3
    return {"x_train": rng.normal(size=(count, 4)) + labels[:, None], "y_train": labels}
"""


def arrays(*shape: int, train: int = 45, test: int = 24) -> dict[str, npt.NDArray[np.generic]]:
    """Make up arrays of an .npz file, with floats as features."""
    rng = np.random.default_rng(0)
    found: dict[str, npt.NDArray[np.generic]] = {}
    for part, count in (("train", train), ("test", test)):
        found[f"x_{part}"] = rng.normal(size=(count, *shape)).astype(np.float32)
        found[f"y_{part}"] = np.array([CLASSES[row % 3] for row in range(count)])
    return found


def write_images(folder: Path, count: int = 15, *, side: int = 8, wide: int = 0) -> None:
    """Write so many images of each class into its folder."""
    rng = np.random.default_rng(0)
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        for row in range(count):
            pixels = rng.integers(0, 256, (side, wide * row + side, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{row:03d}.png")


def write_csv(path: Path, count: int = 60) -> None:
    """Write a table of two features and a label."""
    rng = np.random.default_rng(0)
    lines = ["width,species,height"]
    for row in range(count):
        width, height = rng.normal(size=2) + row % 3
        lines.append(f"{width:.3f},{CLASSES[row % 3]},{height:.3f}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _official(folder: Path, monkeypatch: pytest.MonkeyPatch) -> DatasetSettings:
    rng = np.random.default_rng(0)
    for file, count in zip(FILES, (40, 40, 20, 20), strict=True):
        shape = (count, 6, 6) if "images" in file else (count,)
        write(folder / file, rng.integers(0, 10, shape, np.uint8))
    first, second, third, fourth = (hashlib.md5((folder / f).read_bytes()).hexdigest() for f in FILES)
    monkeypatch.setitem(SOURCES, "mnist", Source("mnist", "MNIST", (first, second, third, fourth)))
    return named("mnist", 8)


def _torchvision(folder: Path, monkeypatch: pytest.MonkeyPatch) -> DatasetSettings:
    tiny_torchvision.make("dtd", folder, monkeypatch)
    return named("dtd", 8)


def _folder(folder: Path, _: pytest.MonkeyPatch) -> DatasetSettings:
    write_images(folder / "flowers/train", wide=1)
    write_images(folder / "flowers/test", 8, wide=2)
    return Folder(name="folder", path="flowers", resize=8, normalize="dataset")


def _npz(folder: Path, _: pytest.MonkeyPatch) -> DatasetSettings:
    np.savez(folder / "flowers.npz", allow_pickle=False, **arrays(5))
    return Npz(name="npz", path="flowers.npz", normalize="dataset", validation=Validation(fraction=0.1))


def _csv(folder: Path, _: pytest.MonkeyPatch) -> DatasetSettings:
    write_csv(folder / "flowers.csv")
    return Csv(name="csv", path="flowers.csv", label="species", split=TestSplit(test=0.25))


def _own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> DatasetSettings:
    (folder / "own_flowers.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    return Own.model_validate({"name": "own_flowers:flowers", "count": 60, "split": {"test": 0.25}})


# Makes the files in a folder, which is the current one and the one to search; returns the settings.
TINY: dict[type[DatasetSettings], Callable[[Path, pytest.MonkeyPatch], DatasetSettings]] = {
    Official: _official,
    Sample: lambda *_: named("kmnist_sample", 8),
    Torchvision: _torchvision,
    Folder: _folder,
    Npz: _npz,
    Csv: _csv,
    Own: _own,
}
