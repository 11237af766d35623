"""Datasets of torchvision by name: how each is called, what its files are, and how large it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class TorchvisionSet:
    """A dataset of torchvision: its class, the arguments of each split, and the files that its root holds.

    `shape` is that of one image, (rows, columns, channels); None if images differ in size. Without `test`
    the dataset has one part, which a suite splits. `sizes` are the samples of the parts.
    """

    cls: str
    files: tuple[str, ...]
    shape: tuple[int, int, int] | None
    num_classes: int
    sizes: tuple[int, ...]
    train: Mapping[str, Any] = field(default_factory=dict)
    test: Mapping[str, Any] | None = None
    validation: Mapping[str, Any] | None = None
    classes: tuple[str, ...] = ()  # where the class does not tell

    @property
    def parts(self) -> list[Mapping[str, Any]]:
        """Return the arguments of each part that there is: train, test, validation."""
        return [each for each in (self.train, self.test, self.validation) if each is not None]


def _by_train(
    cls: str, files: tuple[str, ...], shape: tuple[int, int, int], classes: int, *sizes: int, **rest: Any
) -> TorchvisionSet:
    """Return a dataset whose splits are chosen by `train`."""
    train, test = ({**rest, "train": is_train} for is_train in (True, False))
    names = _DIGITS if classes == 10 and shape[2] == 1 else ()
    return TorchvisionSet(cls, files, shape, classes, sizes, train, test, classes=names)


def _by_split(
    cls: str,
    files: tuple[str, ...],
    shape: tuple[int, int, int] | None,
    classes: int,
    *sizes: int,
    splits: tuple[str, ...] = ("train", "test"),
    **rest: Any,
) -> TorchvisionSet:
    """Return a dataset whose splits are chosen by `split`."""
    train, test, validation = [*({**rest, "split": split} for split in splits), None][:3]
    names = _DIGITS if cls == "SVHN" else ()
    return TorchvisionSet(cls, files, shape, classes, sizes, train or {}, test, validation, names)


def _emnist(split: str, classes: int, *sizes: int) -> TorchvisionSet:
    files = tuple(
        f"EMNIST/raw/emnist-{split}-{part}-{kind}-ubyte"
        for part in ("train", "test")
        for kind in ("images-idx3", "labels-idx1")
    )
    return _by_train("EMNIST", files, (28, 28, 1), classes, *sizes, split=split)


def _imagenette(size: str, folder: str) -> TorchvisionSet:
    return _by_split("Imagenette", (folder,), None, 10, 9_469, 3_925, splits=("train", "val"), size=size)


_THREE = ("train", "test", "val")
_QMNIST = tuple(
    f"QMNIST/raw/qmnist-{part}-{kind}"
    for part in ("train", "test")
    for kind in ("images-idx3-ubyte", "labels-idx2-int")
)

SETS: dict[str, TorchvisionSet] = {
    "cifar10": _by_train("CIFAR10", ("cifar-10-batches-py",), (32, 32, 3), 10, 50_000, 10_000),
    "cifar100": _by_train("CIFAR100", ("cifar-100-python",), (32, 32, 3), 100, 50_000, 10_000),
    "dtd": _by_split("DTD", ("dtd/dtd",), None, 47, 1_880, 1_880, 1_880, splits=_THREE),
    "emnist_balanced": _emnist("balanced", 47, 112_800, 18_800),
    "emnist_byclass": _emnist("byclass", 62, 697_932, 116_323),
    "emnist_bymerge": _emnist("bymerge", 47, 697_932, 116_323),
    "emnist_digits": _emnist("digits", 10, 240_000, 40_000),
    "emnist_letters": _emnist("letters", 26, 124_800, 20_800),
    "emnist_mnist": _emnist("mnist", 10, 60_000, 10_000),
    "eurosat": TorchvisionSet("EuroSAT", ("eurosat/2750",), (64, 64, 3), 10, (27_000,)),
    "fgvc_aircraft": _by_split(
        "FGVCAircraft", ("fgvc-aircraft-2013b",), None, 100, 3_334, 3_333, 3_333, splits=_THREE
    ),
    "flowers102": _by_split("Flowers102", ("flowers-102",), None, 102, 1_020, 6_149, 1_020, splits=_THREE),
    "food101": _by_split("Food101", ("food-101/meta", "food-101/images"), None, 101, 75_750, 25_250),
    "gtsrb": _by_split("GTSRB", ("gtsrb",), None, 43, 26_640, 12_630),
    "imagenette": _imagenette("full", "imagenette2"),
    "imagenette_160px": _imagenette("160px", "imagenette2-160"),
    "imagenette_320px": _imagenette("320px", "imagenette2-320"),
    "oxford_iiit_pet": _by_split(
        "OxfordIIITPet",
        ("oxford-iiit-pet/images", "oxford-iiit-pet/annotations"),
        None,
        37,
        3_680,
        3_669,
        splits=("trainval", "test"),
    ),
    "qmnist": _by_train("QMNIST", _QMNIST, (28, 28, 1), 10, 60_000, 60_000),
    "stl10": _by_split("STL10", ("stl10_binary",), (96, 96, 3), 10, 5_000, 8_000),
    "svhn": _by_split("SVHN", ("train_32x32.mat", "test_32x32.mat"), (32, 32, 3), 10, 73_257, 26_032),
    "usps": _by_train("USPS", ("usps.bz2", "usps.t.bz2"), (16, 16, 1), 10, 7_291, 2_007),
}
