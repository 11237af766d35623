"""From what was read to arrays: splits, labels, channels, resizing, statistics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from harness.data import Dataset, load
from harness.data.kinds import BY_NAME
from harness.data.prepare import CHUNK
from harness.data.scaling import statistics
from harness.data.splits import stratified
from harness.training.dataloader import Resident, ResidentDataset
from tests.support.tiny_data import CLASSES, arrays, write_csv, write_images


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def loaded(**settings: Any) -> Dataset:
    kind, cache = BY_NAME[settings["name"]], str(Path("cache").absolute())
    return load(kind.model_validate(settings), env={"XDG_CACHE_HOME": cache})


def npz(**changes: Any) -> None:
    np.savez("x.npz", allow_pickle=False, **{**arrays(5), **changes})


@pytest.mark.parametrize("count", [1, 7, 20, 59])
def test_a_split_takes_of_each_class_its_proportion(count: int) -> None:
    labels = np.array([0] * 30 + [1] * 20 + [2] * 10)
    stay, taken = stratified(labels, count, seed=0)
    assert sorted([*stay, *taken]) == list(range(60))
    assert len(taken) == count
    for label, number in enumerate((30, 20, 10)):
        assert abs(int((labels[taken] == label).sum()) - number * count / 60) < 1


def test_a_split_depends_on_seed_and_labels_alone() -> None:
    labels = np.arange(60) % 3
    first, second = (stratified(labels, 12, seed)[1].tolist() for seed in (0, 1))
    assert first == [4, 6, 14, 25, 34, 35, 36, 38, 39, 40, 44, 54]  # for ever
    assert first != second
    assert stratified(np.array(list("abc"))[labels], 12, 0)[1].tolist() == first


def test_split_and_validation_are_disjoint_and_whole() -> None:
    x = np.arange(90, dtype=np.float32).reshape(90, 1)
    np.savez("x.npz", x_train=x, y_train=np.arange(90) % 3)
    dataset = loaded(name="npz", path="x.npz", split={"test": 0.2}, validation={"count": 12})
    assert dataset.validation is not None
    parts = [split.images[:, 0].tolist() for split in (dataset.train, dataset.test, dataset.validation)]
    assert [len(part) for part in parts] == [60, 18, 12]
    assert sorted(row for part in parts for row in part) == list(range(90))
    for split in (dataset.train, dataset.test, dataset.validation):
        assert (split.images[:, 0] % 3).tolist() == split.labels.tolist()
        assert np.ptp(np.bincount(split.labels)) == 0


def test_validation_arrays_are_kept_beside_a_split() -> None:
    x = np.arange(90, dtype=np.float32).reshape(90, 1)
    y = np.arange(90) % 3
    np.savez("x.npz", x_train=x[:60], y_train=y[:60], x_val=x[60:], y_val=y[60:])
    dataset = loaded(name="npz", path="x.npz", split={"test": 0.2})
    assert dataset.validation is not None
    assert dataset.validation.images[:, 0].tolist() == list(range(60, 90))
    assert (len(dataset.train.labels), len(dataset.test.labels)) == (48, 12)


def test_a_split_does_not_depend_on_the_validation() -> None:
    np.savez("x.npz", x_train=np.arange(90.0).reshape(90, 1), y_train=np.arange(90) % 3)
    plain = loaded(name="npz", path="x.npz", split={"test": 0.2})
    other = loaded(name="npz", path="x.npz", split={"test": 0.2}, validation={"fraction": 0.1})
    assert np.array_equal(plain.test.images, other.test.images)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["rose", "daisy", "rose"], ("daisy", "rose")),
        ([10, 2, 10], ("2", "10")),
        (np.array([300, 7, 300], np.int16), ("7", "300")),
        (np.array([b"b", b"a", b"b"]), ("a", "b")),
    ],
)
def test_labels_are_numbered_in_order(labels: Any, classes: tuple[str, ...]) -> None:
    npz(
        x_train=np.zeros((3, 5), np.float32),
        y_train=labels,
        y_test=[labels[0]],
        x_test=arrays(5)["x_test"][:1],
    )
    dataset = loaded(name="npz", path="x.npz")
    assert dataset.classes == classes
    assert dataset.train.labels.tolist() == [1, 0, 1]
    assert dataset.train.labels.dtype == np.uint8


def test_three_hundred_classes_have_room() -> None:
    x = np.zeros((300, 2), np.float32)
    npz(x_train=x, y_train=np.arange(300), x_test=x, y_test=np.arange(300))
    dataset = loaded(name="npz", path="x.npz")
    assert dataset.test.labels.tolist() == list(range(300))
    assert dataset.num_classes == 300


@pytest.mark.parametrize(
    ("shape", "expected"), [((4, 6, 3), (3, 4, 6)), ((4, 6), (1, 4, 6)), ((5,), (5,)), ((4, 6, 1), (1, 4, 6))]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_dimensions(shape: tuple[int, ...], expected: tuple[int, ...], dtype: Any) -> None:
    rng = np.random.default_rng(0)
    x = (rng.uniform(size=(CHUNK + 2, *shape)) * 255).astype(dtype)
    npz(x_train=x, y_train=np.arange(len(x)) % 3, x_test=x[:5], y_test=np.arange(5) % 3)
    dataset = loaded(name="npz", path="x.npz")
    assert dataset.image_shape == expected
    assert dataset.train.images.dtype == dtype
    moved = x.transpose(0, 3, 1, 2) if len(shape) == 3 else x
    assert np.array_equal(dataset.train.images.reshape(moved.shape), moved)


@pytest.mark.parametrize(("dtype", "value"), [(np.uint8, 51 / 255), (np.float32, 51.0)])
def test_bytes_are_divided_and_floats_taken_as_they_are(dtype: Any, value: float) -> None:
    x = np.full((3, 4), 51, dtype)
    npz(x_train=x, y_train=np.arange(3), x_test=x, y_test=np.arange(3))
    dataset = loaded(name="npz", path="x.npz")
    images, _ = Resident.of(dataset.train, torch.device("cpu"), torch.float64).gather(torch.tensor([0, 2]))
    assert images.tolist() == [[value] * 4] * 2
    assert (dataset.train.images == 51).all()


def test_colour_is_resized_as_by_torchvision() -> None:
    from torchvision.transforms import Resize  # type: ignore[import-untyped]

    x = np.random.default_rng(0).integers(0, 256, (6, 9, 9, 3), np.uint8)
    npz(x_train=x, y_train=np.arange(6) % 2, x_test=x, y_test=np.arange(6) % 2)
    dataset = loaded(name="npz", path="x.npz", resize=5)
    for image, found in zip(x, dataset.train.images, strict=True):
        assert np.array_equal(np.asarray(Resize(5)(Image.fromarray(image))).transpose(2, 0, 1), found)


def standardised(dataset: Dataset) -> npt.NDArray[np.float64]:
    resident = ResidentDataset.of(dataset, torch.device("cpu"), torch.float64)
    images, _ = resident.train.gather(torch.arange(len(resident.train)))
    found: npt.NDArray[np.float64] = images.transpose(0, 1).flatten(1).numpy()
    return found


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(4, 6, 3), (5,)])
def test_normalized_samples_have_mean_0_and_std_1(shape: tuple[int, ...], dtype: Any) -> None:
    x = np.random.default_rng(0).integers(0, 256, (50, *shape)).astype(dtype)
    npz(x_train=x, y_train=np.arange(50) % 3, x_test=x[:5], y_test=np.arange(5) % 3)
    found = standardised(loaded(name="npz", path="x.npz", normalize="dataset"))
    assert found.mean(1) == pytest.approx(0, abs=1e-13)
    assert found.std(1) == pytest.approx(1)


def test_statistics_are_of_the_training_samples_alone() -> None:
    np.savez("x.npz", x_train=np.arange(90.0).reshape(90, 1), y_train=np.arange(90) % 3)
    held = {"split": {"test": 0.2}, "validation": {"fraction": 0.1}}
    dataset = loaded(name="npz", path="x.npz", normalize="dataset", **held)
    mean, std = dataset.scaling or ([], [])
    assert mean == [pytest.approx(dataset.train.images.mean())]
    assert std == [pytest.approx(dataset.train.images.std())]


def test_what_does_not_vary_is_left_as_it_is() -> None:
    x = np.stack([np.full(6, 3.0), np.arange(6.0)], axis=1)
    assert statistics(x) == ([3.0, 2.5], [1.0, pytest.approx(np.arange(6).std())])


def test_given_statistics() -> None:
    npz()
    found = standardised(loaded(name="npz", path="x.npz", normalize={"mean": 1, "std": [1, 1, 1, 1, 2.0]}))
    x = arrays(5)["x_train"].astype(np.float64)
    assert np.array_equal(found.T, (x - 1) / [1, 1, 1, 1, 2])


def test_folder_as_torchvision_reads_it() -> None:
    from torchvision.datasets import ImageFolder  # type: ignore[import-untyped]

    write_images(Path("flowers/train"), 3)
    write_images(Path("flowers/test"), 2)
    (Path("flowers/train/rose/.DS_Store")).touch()
    dataset = loaded(name="folder", path="flowers")
    theirs = ImageFolder("flowers/train")
    assert dataset.classes == tuple(theirs.classes) == CLASSES
    assert dataset.train.labels.tolist() == theirs.targets
    for (image, _), found in zip(theirs, dataset.train.images, strict=True):
        assert np.array_equal(np.asarray(image).transpose(2, 0, 1), found)


def test_grey_images_have_one_channel() -> None:
    for part in ("train", "test"):
        for name in CLASSES:
            Path(part, name).mkdir(parents=True)
            Image.fromarray(np.eye(4, dtype=np.uint8)).save(Path(part, name, "a.png"))
    assert loaded(name="folder", path=".").image_shape == (1, 4, 4)


def test_a_folder_of_classes_is_split() -> None:
    write_images(Path("flowers"), 5, wide=1)
    dataset = loaded(name="folder", path="flowers", resize=8, split={"test": 0.2})
    assert (len(dataset.train.labels), dataset.test.labels.tolist()) == (12, [0, 1, 2])


def test_a_table_with_a_test_file() -> None:
    write_csv(Path("train.csv"), 30)
    write_csv(Path("test.csv"), 9)
    dataset = loaded(name="csv", path="train.csv", label="species", test_path="test.csv")
    assert dataset.image_shape == (2,)
    assert dataset.train.images[0].tolist() == [0.126, -0.132]
    assert dataset.test.labels.tolist() == [0, 1, 2] * 3
    assert dataset.train.images.dtype == np.float64
