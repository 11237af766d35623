"""Datasets by name as memory-mapped bytes. Only a download imports torch and torchvision."""

from harness.data.dataset import Dataset, Split, load
from harness.data.sources import DATASETS

__all__ = ["DATASETS", "Dataset", "Split", "load"]
