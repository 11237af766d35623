"""Every rule of data sets with what breaks it: the suite's dataset, and the files beside the suite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.support.tiny_data import arrays, write_csv, write_images

Make = Callable[[Path], None]
NPZ = "{name: npz, path: x.npz}"
FOLDER = "{name: folder, path: flowers}"
CSV = "{name: csv, path: x.csv, label: species, split: {test: 0.25}}"


def _npz(**changes: Any) -> Make:
    """Write an .npz file with some of its arrays changed, or left out where they are None."""

    def make(folder: Path) -> None:
        folder.mkdir()
        found = {key: value for key, value in {**arrays(5), **changes}.items() if value is not None}
        np.savez(folder / "x.npz", **found)

    return make


def _images(test: Callable[[Path], None] | None = None, **options: int) -> Make:
    """Write train and test folders of images, and change the latter."""

    def make(folder: Path) -> None:
        write_images(folder / "flowers/train", 2, **options)
        write_images(folder / "flowers/test", 2, **options)
        if test:
            test(folder / "flowers/test")

    return make


def _csv(old: str = "", new: str = "") -> Make:
    """Write a table with a part of it replaced."""

    def make(folder: Path) -> None:
        folder.mkdir()
        write_csv(folder / "x.csv", 12)
        text = (folder / "x.csv").read_text(encoding="utf-8")
        assert old in text
        (folder / "x.csv").write_text(text.replace(old, new, 1), encoding="utf-8")

    return make


def _text(folder: Path) -> None:
    folder.mkdir()
    (folder / "x.npz").write_text("no such thing")


def _cut(test: Path) -> None:
    path = test / "rose/001.png"
    path.write_bytes(path.read_bytes()[:70])


def _header_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "x.csv").write_text("width,species\n")


def _rename(test: Path) -> None:
    (test / "rose").rename(test / "rosse")


def _own(body: str) -> Make:
    """Write a module beside the current folder's."""

    def make(folder: Path) -> None:
        folder.mkdir()
        Path(f"{_module(body)}.py").write_text(f"def flowers(count=1):\n    {body}\n", encoding="utf-8")

    return make


def _module(body: str) -> str:
    return f"own_data_{len(body)}"


def _of(body: str, more: str = "") -> str:
    return f"{{name: '{_module(body)}:flowers'{more}}}"


SPLIT = arrays(5)
BAD = SPLIT["x_train"].copy()
BAD[3, 1] = np.nan
RAISES, RETURNS, WRONG = "raise OSError('no such flowers')", "return [1, 2]", "return {'x_train': [[1.0]]}"

# rule: (the dataset, what makes the files)
DATA_RULES: dict[str, tuple[str, Make]] = {
    "npz-missing": ("{name: npz, path: y.npz}", _npz()),
    "npz-other-file": (NPZ, _text),
    "npz-typo": (NPZ, _npz(x_tets=SPLIT["x_test"], x_test=None)),
    "npz-no-test": (NPZ, _npz(x_test=None, y_test=None)),
    "npz-test-and-split": ("{name: npz, path: x.npz, split: {test: 0.2}}", _npz()),
    "npz-lengths": (NPZ, _npz(y_test=SPLIT["y_test"][:-1])),
    "npz-whole-numbers": (NPZ, _npz(x_train=np.ones((45, 5), np.int64))),
    "npz-not-finite": (NPZ, _npz(x_train=BAD)),
    "npz-dimensions": (NPZ, _npz(x_train=np.ones((45, 5, 5, 5, 5), np.float32))),
    "npz-pickled": (NPZ, _npz(y_train=np.array([None] * 45))),
    "npz-label": (NPZ, _npz(y_test=np.array(["rose"] * 23 + ["rosse"]))),
    "npz-label-type": (NPZ, _npz(y_test=np.arange(24))),
    "npz-shapes": (NPZ, _npz(x_test=np.ones((24, 4), np.float32))),
    "npz-one-class": (NPZ, _npz(y_train=np.array(["rose"] * 45), y_test=np.array(["rose"] * 24))),
    "features-resized": ("{name: npz, path: x.npz, resize: 8}", _npz()),
    "validation-twice": (
        "{name: npz, path: x.npz, validation: {count: 5}}",
        _npz(x_val=SPLIT["x_test"], y_val=SPLIT["y_test"]),
    ),
    "validation-of-all": ("{name: npz, path: x.npz, validation: {count: 45}}", _npz()),
    "validation-unsaid": ("{name: npz, path: x.npz, validation: {}}", _npz()),
    "normalize-count": ("{name: npz, path: x.npz, normalize: {mean: [0, 0.5], std: 1}}", _npz()),
    "normalize-word": ("{name: npz, path: x.npz, normalize: data}", _npz()),
    "folder-missing": ("{name: folder, path: flower}", _images()),
    "folder-one-level": ("{name: folder, path: flowers/train}", _images()),
    "folder-sizes": (FOLDER, _images(wide=1)),
    "folder-class": (FOLDER, _images(_rename)),
    "folder-empty-class": (FOLDER, _images(lambda test: (test / "poppy").mkdir())),
    "folder-other-file": (FOLDER, _images(lambda test: (test / "rose/notes.txt").touch())),
    "folder-damaged": (FOLDER, _images(_cut)),
    "folder-depth": (
        FOLDER,
        _images(lambda test: Image.new("I;16", (8, 8)).save(test / "rose/000.png")),
    ),
    "csv-label": ("{name: csv, path: x.csv, label: specie, split: {test: 0.25}}", _csv()),
    "csv-empty-cell": (CSV, _csv("0.126,daisy", ",daisy")),
    "csv-text-cell": (CSV, _csv("0.126,daisy", "wide,daisy")),
    "csv-columns": (CSV, _csv("0.126,daisy", "daisy")),
    "csv-no-label": (CSV, _csv("0.126,daisy", "0.126,")),
    "csv-twice": (CSV, _csv("width,species", "height,species")),
    "csv-no-rows": (CSV, _header_alone),
    "csv-no-test": ("{name: csv, path: x.csv, label: species}", _csv()),
    "own-data-module": ("{name: 'no_such:flowers'}", _npz()),
    "own-data-raises": (_of(RAISES), _own(RAISES)),
    "own-data-returns": (_of(RETURNS), _own(RETURNS)),
    "own-data-lacks": (_of(WRONG), _own(WRONG)),
    "own-data-setting": (_of(WRONG, ", petals: 5"), _own(WRONG)),
    "torchvision-resize": ("{name: food101}", _npz()),
    "torchvision-split": ("{name: eurosat}", _npz()),
}
