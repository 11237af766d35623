"""Tiny files in the layouts of torchvision's datasets, for each name."""

from __future__ import annotations

import bz2
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from harness.data.idx import write
from harness.data.official_files import unpacked
from harness.data.torchvision_sets import SETS

TRAIN, TEST, VALIDATION = 12, 6, 5
_RNG = np.random.default_rng(0)
_PARTS = {"train": TRAIN, "test": TEST, "val": VALIDATION}
_WNIDS = ("n01440764", "n02102040")


def make(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the files of a dataset with 2 classes or more; their checksums and numbers count as right."""
    makers: dict[str, Callable[[Path], None]] = {
        "cifar10": lambda folder: _cifar(folder / "cifar-10-batches-py", 10),
        "cifar100": lambda folder: _cifar(folder / "cifar-100-python", 100),
        "svhn": _svhn,
        "stl10": lambda folder: _stl10(folder / "stl10_binary"),
        "qmnist": lambda folder: _qmnist(folder / "QMNIST/raw"),
        "usps": _usps,
        "eurosat": lambda folder: _eurosat(folder / "eurosat/2750"),
        "flowers102": lambda folder: _flowers(folder / "flowers-102"),
        "oxford_iiit_pet": lambda folder: _pets(folder / "oxford-iiit-pet"),
        "dtd": lambda folder: _dtd(folder / "dtd/dtd"),
        "food101": lambda folder: _food(folder / "food-101"),
        "gtsrb": lambda folder: _gtsrb(folder / "gtsrb"),
        "fgvc_aircraft": lambda folder: _aircraft(folder / "fgvc-aircraft-2013b/data"),
    }
    family = name.partition("_")[0]
    if family == "emnist":
        _emnist(folder / "EMNIST/raw", name.removeprefix("emnist_"))
    elif family == "imagenette":
        _imagenette(folder / SETS[name].files[0])
    else:
        makers[name](folder)
    for module in ("cifar", "svhn", "stl10", "flowers102"):
        monkeypatch.setattr(f"torchvision.datasets.{module}.check_integrity", lambda *_: True)
    sizes = (TRAIN + TEST,) if name == "eurosat" else (TRAIN, TEST, VALIDATION)[: len(SETS[name].sizes)]
    monkeypatch.setitem(SETS, name, replace(SETS[name], sizes=sizes))


def _pixels(*shape: int) -> npt.NDArray[np.uint8]:
    return _RNG.integers(0, 256, shape, np.uint8)


def _image(path: Path, side: int = 9, wide: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(_pixels(side, wide or side, 3)).save(path)


def _cifar(folder: Path, classes: int) -> None:
    folder.mkdir()
    key = "labels" if classes == 10 else "fine_labels"

    def batch(file: str, size: int) -> None:
        content: Any = {"data": _pixels(size, 3072), key: [row % classes for row in range(size)]}
        (folder / file).write_bytes(pickle.dumps(content))

    names = [f"class-{number}" for number in range(classes)]
    if classes == 10:
        for number in range(5):
            batch(f"data_batch_{number + 1}", (4, 2, 2, 2, 2)[number])
        batch("test_batch", TEST)
        (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    else:
        batch("train", TRAIN)
        batch("test", TEST)
        (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": names}))


def _write_matlab(path: Path, content: dict[str, Any]) -> None:
    from scipy import io  # here, as ranks that read none of these files import this module, too

    io.savemat(path, content)


def _svhn(folder: Path) -> None:
    for part in ("train", "test"):
        size = _PARTS[part]
        labels = np.arange(size).reshape(-1, 1) % 10 + 1
        _write_matlab(folder / f"{part}_32x32.mat", {"X": _pixels(32, 32, 3, size), "y": labels})


def _stl10(folder: Path) -> None:
    folder.mkdir()
    for part in ("train", "test", "unlabeled"):
        size = _PARTS.get(part, 1)
        _pixels(size, 3, 96, 96).tofile(folder / f"{part}_X.bin")
        (np.arange(size) % 10 + 1).astype(np.uint8).tofile(folder / f"{part}_y.bin")
    (folder / "class_names.txt").write_text("\n".join(f"class-{number}" for number in range(10)))


def _idx(path: Path, array: npt.NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, array)
    path.write_bytes(unpacked(path.read_bytes()))


def _emnist(folder: Path, split: str) -> None:
    first = int(split == "letters")
    for part in ("train", "test"):
        labels = (np.arange(_PARTS[part]) % 10 + first).astype(np.uint8)
        _idx(folder / f"emnist-{split}-{part}-images-idx3-ubyte", _pixels(_PARTS[part], 28, 28))
        _idx(folder / f"emnist-{split}-{part}-labels-idx1-ubyte", labels)


def _qmnist(folder: Path) -> None:
    for part in ("train", "test"):
        size = _PARTS[part]
        _idx(folder / f"qmnist-{part}-images-idx3-ubyte", _pixels(size, 28, 28))
        labels = np.zeros((size, 8), ">i4")
        labels[:, 0] = np.arange(size) % 10
        header = bytes((0, 0, 12, 2)) + np.array(labels.shape, ">u4").tobytes()
        (folder / f"qmnist-{part}-labels-idx2-int").write_bytes(header + labels.tobytes())


def _usps(folder: Path) -> None:
    for file, size in (("usps.bz2", TRAIN), ("usps.t.bz2", TEST)):
        values = _RNG.uniform(-1, 1, (size, 256))
        lines = [
            f"{row % 10 + 1} " + " ".join(f"{at + 1}:{each:.3f}" for at, each in enumerate(values[row]))
            for row in range(size)
        ]
        (folder / file).write_bytes(bz2.compress("\n".join(lines).encode()))


def _eurosat(folder: Path) -> None:
    for row in range(TRAIN + TEST):
        _image(folder / ("Forest", "River")[row % 2] / f"{row}.jpg", 64)


def _imagenette(folder: Path) -> None:
    for part in ("train", "val"):
        for row in range(TRAIN if part == "train" else TEST):
            _image(folder / part / _WNIDS[row % 2] / f"{row}.JPEG", 9, 7 + row)


def _flowers(folder: Path) -> None:
    total = sum(_PARTS.values())
    for row in range(total):
        _image(folder / "jpg" / f"image_{row + 1:05d}.jpg", 9, 7 + row)
    labels = {"labels": np.arange(total) % 3 + 1}
    _write_matlab(folder / "imagelabels.mat", labels)
    ids = np.split(np.arange(total) + 1, [TRAIN, TRAIN + TEST])
    _write_matlab(folder / "setid.mat", dict(zip(("trnid", "tstid", "valid"), ids, strict=True)))


def _pets(folder: Path) -> None:
    (folder / "annotations").mkdir(parents=True)
    for part, size in (("trainval", TRAIN), ("test", TEST)):
        lines = []
        for row in range(size):
            name = f"{('Abyssinian', 'basset_hound')[row % 2]}_{part}{row}"
            _image(folder / "images" / f"{name}.jpg", 9, 7 + row)
            lines.append(f"{name} {row % 2 + 1} 1 1")
        (folder / "annotations" / f"{part}.txt").write_text("\n".join(lines))


def _dtd(folder: Path) -> None:
    (folder / "labels").mkdir(parents=True)
    for part, size in _PARTS.items():
        names = [f"{('banded', 'woven')[row % 2]}/{part}{row}.jpg" for row in range(size)]
        for name in names:
            _image(folder / "images" / name, 9, 8)
        (folder / "labels" / f"{part}1.txt").write_text("\n".join(names))


def _food(folder: Path) -> None:
    (folder / "meta").mkdir(parents=True)
    for part in ("train", "test"):
        names: dict[str, list[str]] = {"apple_pie": [], "waffles": []}
        for row in range(_PARTS[part]):
            kind = list(names)[row % 2]
            names[kind].append(f"{kind}/{part}{row}")
            _image(folder / "images" / kind / f"{part}{row}.jpg", 9, 7 + row)
        (folder / "meta" / f"{part}.json").write_text(json.dumps(names))


def _gtsrb(folder: Path) -> None:
    for row in range(TRAIN):
        _image(folder / f"GTSRB/Training/{row % 3:05d}/{row}.ppm", 9, 7 + row)
    lines = ["Filename;Width;ClassId"]
    for row in range(TEST):
        _image(folder / f"GTSRB/Final_Test/Images/{row:05d}.ppm", 9, 7 + row)
        lines.append(f"{row:05d}.ppm;9;{row % 3}")
    (folder / "GT-final_test.csv").write_text("\n".join(lines))


def _aircraft(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "variants.txt").write_text("A320\nA340\n")
    for part, size in _PARTS.items():
        lines = []
        for row in range(size):
            _image(folder / "images" / f"{part}{row}.jpg", 9, 7 + row)
            lines.append(f"{part}{row} {('A320', 'A340')[row % 2]}")
        (folder / f"images_variant_{part}.txt").write_text("\n".join(lines) + "\n")
