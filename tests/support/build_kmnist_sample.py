"""Build harness/data/kmnist_sample from the official KMNIST test files.

Usage: python -m tests.support.build_kmnist_sample FOLDER_WITH_OFFICIAL_FILES [FOLDER_TO_WRITE]
"""

import sys
from pathlib import Path

import numpy as np

from harness.data.idx import read_split, write

SHIPPED = Path(__file__).parents[2] / "harness/data/kmnist_sample"
TRAIN_PER_CLASS = 800


def build(official: Path, into: Path) -> None:
    """Write each class's first 800 test images as training set, its last 200 as test set, in file order."""
    images, labels = read_split(official, "t10k", num_classes=10)
    place_in_class = np.empty(len(labels), int)
    for label in range(10):
        members = labels == label
        place_in_class[members] = np.arange(members.sum())
    is_train = place_in_class < TRAIN_PER_CLASS
    for split, chosen in (("train", is_train), ("t10k", ~is_train)):
        write(into / f"{split}-images-idx3-ubyte.gz", images[chosen])
        write(into / f"{split}-labels-idx1-ubyte.gz", labels[chosen])


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else SHIPPED)
