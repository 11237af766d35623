"""Datasets of torchvision: each read from files in its layout, downloaded by it, and explained."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from harness.data import Dataset, load, named
from harness.data.kinds.torchvision import Torchvision
from harness.data.settings import DatasetSettings
from harness.data.torchvision_sets import SETS
from harness.errors import DataError
from tests.support import tiny_torchvision
from tests.support.tiny_torchvision import TEST, TRAIN, VALIDATION


def settings(name: str) -> DatasetSettings:
    split = {"split": {"test": 1 / 3}} if SETS[name].test is None else {}
    return Torchvision.model_validate({"name": name, "resize": None if SETS[name].shape else 8, **split})


def loaded(name: str, folder: Path) -> Dataset:
    return load(settings(name), folder, {"XDG_CACHE_HOME": str(folder / "cache")})


def test_every_set_has_a_name() -> None:
    assert get_args(Torchvision.model_fields["name"].annotation) == tuple(SETS)


@pytest.mark.parametrize("name", SETS)
def test_the_arguments_are_torchvisions(name: str) -> None:
    import torchvision.datasets  # type: ignore[import-untyped]

    cls = getattr(torchvision.datasets, SETS[name].cls)
    known = {key for each in cls.__mro__ for key in inspect.signature(each.__init__).parameters}
    assert all(set(part) <= known for part in SETS[name].parts)
    assert len(SETS[name].parts) == len(SETS[name].sizes)


@pytest.mark.parametrize("name", SETS)
def test_it_is_read_from_torchvisions_layout(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_torchvision.make(name, tmp_path, monkeypatch)
    dataset = loaded(name, tmp_path)
    rows, columns, channels = SETS[name].shape or (8, 8, 3)
    assert dataset.image_shape == (channels, rows, columns)
    assert (len(dataset.train.labels), len(dataset.test.labels)) == (TRAIN, TEST)
    assert dataset.train.labels.min() == 0
    assert dataset.train.labels.max() < dataset.num_classes == len(dataset.classes)
    assert dataset.classes[0] != "N/A"
    if SETS[name].validation:
        assert dataset.validation is not None
        assert len(dataset.validation.labels) == VALIDATION
    assert settings(name).sizes in (None, (TRAIN, TEST))


def test_pixels_are_those_of_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10, QMNIST

    tiny_torchvision.make("cifar10", tmp_path, monkeypatch)
    tiny_torchvision.make("qmnist", tmp_path, monkeypatch)
    colour, grey = loaded("cifar10", tmp_path), loaded("qmnist", tmp_path)
    assert np.array_equal(colour.train.images, CIFAR10(tmp_path).data.transpose(0, 3, 1, 2))
    assert np.array_equal(grey.test.images[:, 0], QMNIST(tmp_path, train=False).data.numpy())


def test_a_folder_of_its_name_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "usps").mkdir()
    tiny_torchvision.make("usps", tmp_path / "usps", monkeypatch)
    assert len(loaded("usps", tmp_path).train.labels) == TRAIN


def test_missing_images_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = SETS["usps"]
    tiny_torchvision.make("usps", tmp_path, monkeypatch)
    monkeypatch.setitem(SETS, "usps", sizes)
    with pytest.raises(DataError, match=r"usps: found 12 images, expected 7,291; remove its files"):
        loaded("usps", tmp_path)


def test_damaged_files_are_told_in_torchvisions_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_torchvision.make("cifar10", tmp_path, monkeypatch)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: False)
    with pytest.raises(DataError, match=r"cifar10: Dataset not found or corrupted; replace its files"):
        loaded("cifar10", tmp_path)


def test_a_damaged_image_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_torchvision.make("dtd", tmp_path, monkeypatch)
    path = next((tmp_path / "dtd/dtd/images/banded").iterdir())
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"image \d+ cannot be read .*; replace it"):
        loaded("dtd", tmp_path)


def test_it_is_downloaded_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import usps

    official = tmp_path / "official"
    official.mkdir()
    tiny_torchvision.make("usps", official, monkeypatch)

    def download_url(url: str, root: str, filename: str, md5: str) -> None:
        if url.endswith("t.bz2") and not (tmp_path / "online").exists():
            raise OSError("Network is unreachable")
        (Path(root) / filename).write_bytes((official / filename).read_bytes())

    monkeypatch.setattr(usps, "download_url", download_url)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as raised:
        loaded("usps", tmp_path / "empty")
    assert str(raised.value) == (
        "usps: its files are not on this machine and could not be downloaded: Network is unreachable\n"
        "Put these into one of the folders below, as torchvision.datasets.USPS lays them out, or into a "
        "folder usps there:\n  usps.bz2\n  usps.t.bz2\n"
        f"Looked in:\n  {tmp_path}/empty\n  {tmp_path}/empty/cache/harness/data"
    )
    data = tmp_path / "empty/cache/harness/data"
    assert not list(data.iterdir())
    (tmp_path / "online").touch()
    assert len(loaded("usps", tmp_path / "empty").train.labels) == TRAIN
    assert [path.name for path in data.iterdir()] == ["usps"]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"name": "food101"}, "food101 without `resize`, expected one: its images differ in size"),
        ({"name": "eurosat"}, "eurosat without `split`, expected one such as"),
        (
            {"name": "svhn", "split": {"test": 0.2}},
            "`split`, expected none: svhn has a test set",
        ),
    ],
)
def test_settings_that_do_not_fit(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Torchvision.model_validate(given)


def test_what_needs_more_than_its_name_is_told() -> None:
    with pytest.raises(DataError, match="without `resize`"):
        named("food101")
