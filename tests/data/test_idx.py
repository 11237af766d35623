import gzip
from pathlib import Path

import numpy as np
import pytest

from harness.data.idx import read, read_split, write
from harness.errors import DataError

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


def write_split(folder: Path, images: np.ndarray, labels: list[int]) -> None:
    write(folder / "train-images-idx3-ubyte.gz", images)
    write(folder / "train-labels-idx1-ubyte.gz", np.array(labels, np.uint8))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_split(tmp_path, IMAGES, [9, 0])
    images, labels = read_split(tmp_path, "train", num_classes=10)
    assert np.array_equal(images, IMAGES)
    assert labels.tolist() == [9, 0]
    assert images.dtype == labels.dtype == np.uint8


@pytest.mark.parametrize(
    "name", ["train-{}-idx{}-ubyte", "train-{}.idx{}-ubyte", "train-{0}-idx{1}-ubyte/" * 2]
)
def test_files_are_read_unpacked_and_under_kaggles_names(tmp_path: Path, name: str) -> None:
    write_split(tmp_path, IMAGES, [9, 0])
    for what in (("images", 3), ("labels", 1)):
        packed = tmp_path / "train-{}-idx{}-ubyte.gz".format(*what)
        path = tmp_path / name.format(*what)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    images, labels = read_split(tmp_path, "train", num_classes=10)
    assert np.array_equal(images, IMAGES)
    assert labels.tolist() == [9, 0]


def test_header_is_big_endian(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    write(path, IMAGES)
    assert gzip.decompress(path.read_bytes())[:16] == bytes((0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no gzip", "begins with b'no g'"),
        (gzip.compress(b"x" * 99)[:-12], "no whole gzip file"),
        (gzip.compress(b""), "begins with b''"),
        (gzip.compress(bytes((0, 0, 8, 1, 0, 0, 0, 0))), r"begins with .* \(3 dimensions\)"),
        (gzip.compress(bytes((0, 0, 8, 3, 0, 0, 0, 1))), "begins with"),
        (
            gzip.compress(bytes((0, 0, 8, 3, *[0, 0, 0, 2] * 3)) + b"x" * 7),
            r"has 7 bytes .* says \(2, 2, 2\)",
        ),
        (gzip.compress(bytes((0, 0, 8, 3, *[0, 0, 0, 2] * 3)) + b"x" * 9), "has 9 bytes"),
        (gzip.compress(bytes((0, 0, 8, 3, *[255] * 12))), "has 0 bytes"),
    ],
    ids=["no gzip", "cut", "empty", "labels", "no header", "short", "long", "huge"],  # bytes hold the time
)
def test_wrong_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"file.gz: {message}"):
        read(path, 3)


def test_images_without_labels(tmp_path: Path) -> None:
    write_split(tmp_path, IMAGES, [1, 2, 3])
    with pytest.raises(DataError, match=r"labels-idx1-ubyte\.gz: has 3 labels, expected 2"):
        read_split(tmp_path, "train", num_classes=10)


def test_label_out_of_range(tmp_path: Path) -> None:
    write_split(tmp_path, IMAGES, [1, 10])
    with pytest.raises(DataError, match="has a label 10, expected labels below 10"):
        read_split(tmp_path, "train", num_classes=10)
