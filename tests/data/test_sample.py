"""The sample that ships with the package, and reading as torchvision reads."""

import gzip
import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest

from harness.data import load, named
from harness.data.cache import digest_of
from harness.data.idx import read_split
from harness.data.official_files import FILES
from harness.data.official_sources import SOURCES
from harness.data.resize import resized
from tests.support import ROOT

SAMPLE = ROOT / "harness/data/kmnist_sample"
OFFICIAL = ROOT.parent / "shared/data"
DIGESTS = {
    None: "cd9223518af5a858df710a952a382ca54a69d4b53c0c77dd33fd92e6719c85b5",
    32: "ff778c9b9c7751b0c783ce2244b554d06334e4e8797b777b6277b4fc0eb85c82",
}


@pytest.mark.parametrize("resize", [None, 32])
def test_golden_digest(tmp_path: Path, resize: int | None) -> None:
    first = load(named("kmnist_sample", resize), env={"XDG_CACHE_HOME": str(tmp_path)})
    again = load(named("kmnist_sample", resize), env={"XDG_CACHE_HOME": str(tmp_path)})
    assert first.digest == again.digest == DIGESTS[resize]
    size = resize or 28
    assert first.image_shape == (1, size, size)
    assert first.num_classes == 10
    assert first.train.images.shape == (8000, 1, size, size)
    assert first.test.images.shape == (2000, 1, size, size)
    assert np.bincount(first.train.labels).tolist() == [800] * 10
    assert np.bincount(first.test.labels).tolist() == [200] * 10


def test_digest_covers_shape_and_bytes() -> None:
    array = np.zeros((2, 3), np.uint8)
    other = array.copy()
    other[1, 2] = 1
    assert len({digest_of([a]) for a in (array, array.reshape(3, 2), other)}) == 3


@pytest.mark.parametrize("size", [16, 28, 32, 45])
def test_resized_as_torchvision_does(size: int) -> None:
    import torch
    from PIL import Image
    from torchvision.transforms import Compose, Resize, ToTensor  # type: ignore[import-untyped]

    images, _ = read_split(SAMPLE, "t10k", num_classes=10)
    transform = Compose([Resize(size), ToTensor()])
    expected = torch.stack([transform(Image.fromarray(image)) for image in images[:300]])
    assert torch.equal(torch.from_numpy(resized(images[:300, None], size)).float() / 255, expected)


def test_unresized_is_untouched(tmp_path: Path) -> None:
    images, _ = read_split(SAMPLE, "t10k", num_classes=10)
    dataset = load(named("kmnist_sample"), env={"XDG_CACHE_HOME": str(tmp_path)})
    assert np.array_equal(dataset.test.images[:, 0], images)


def test_memory_mapped_and_taken_by_torch_without_a_warning(tmp_path: Path) -> None:
    import torch

    dataset = load(named("kmnist_sample"), env={"XDG_CACHE_HOME": str(tmp_path)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for split in (dataset.train, dataset.test):
            for array in (split.images, split.labels):
                assert isinstance(array, np.memmap)
                assert array.dtype == np.uint8
                assert torch.from_numpy(array).shape == array.shape


@pytest.mark.e2e
def test_rebuilt_sample_is_the_shipped_one(tmp_path: Path) -> None:
    official = OFFICIAL / "kmnist"
    if not official.is_dir():
        pytest.skip(f"the official KMNIST test files are not in {official}")
    script = ROOT / "tests/support/build_kmnist_sample.py"
    runpy.run_path(str(script))["build"](official, tmp_path)
    for file in FILES:
        rebuilt, shipped = ((folder / file).read_bytes() for folder in (tmp_path, SAMPLE))
        assert gzip.decompress(rebuilt) == gzip.decompress(shipped), file


def test_sample_says_what_it_is() -> None:
    readme = " ".join((SAMPLE / "README.md").read_text().split())
    for said in ("CC BY-SA 4.0", "CODH", "NIJL", "10.20676/00000341", "Adapted", "are not KMNIST results"):
        assert said in readme


@pytest.mark.e2e
@pytest.mark.parametrize(("name", "folder"), [("fashion_mnist", "fashion-mnist"), ("mnist", "mnist")])
def test_official_files_as_torchvision_reads_them(tmp_path: Path, name: str, folder: str) -> None:
    if not (OFFICIAL / folder).is_dir():
        pytest.skip(f"the official files of {name} are not in {OFFICIAL / folder}")
    from torchvision.datasets import mnist  # type: ignore[import-untyped]

    env = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    dataset = load(named(name), OFFICIAL / folder, env)
    assert load(named(name), None, env | {"HARNESS_DATA": str(OFFICIAL)}).digest == dataset.digest
    raw = tmp_path / str(SOURCES[name].torchvision) / "raw"
    raw.mkdir(parents=True)
    for file in FILES:
        raw.joinpath(file.removesuffix(".gz")).write_bytes(
            gzip.decompress((OFFICIAL / folder / file).read_bytes())
        )
    for is_train, split in ((True, dataset.train), (False, dataset.test)):
        theirs = getattr(mnist, str(SOURCES[name].torchvision))(tmp_path, train=is_train)
        assert np.array_equal(theirs.data.numpy(), split.images[:, 0])
        assert np.array_equal(theirs.targets.numpy(), split.labels)


@pytest.mark.e2e
def test_full_size_resized(tmp_path: Path) -> None:
    if not (OFFICIAL / "fashion-mnist").is_dir():
        pytest.skip(f"the official files of fashion_mnist are not in {OFFICIAL / 'fashion-mnist'}")
    dataset = load(named("fashion_mnist", 32), OFFICIAL, {"XDG_CACHE_HOME": str(tmp_path)})
    assert dataset.train.images.shape == (60000, 1, 32, 32)
    assert dataset.test.images.shape == (10000, 1, 32, 32)
    assert dataset.digest == "4bdf79a65b9a9315c624217eb619fd50872a278242f33e7970ea8e48ef34d673"
