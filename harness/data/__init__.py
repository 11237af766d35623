"""Datasets by name, as memory-mapped uint8 arrays. Only a download imports torch and torchvision."""

from harness.data.dataset import Dataset, Split, load
from harness.data.registry import DATASETS, cache_folder

__all__ = ["DATASETS", "Dataset", "Split", "cache_folder", "load"]
