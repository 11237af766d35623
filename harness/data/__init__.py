"""Datasets by name as memory-mapped bytes. Only a download imports torch and torchvision."""

from harness.data.dataset import Dataset, Split, load
from harness.data.registry import DATASETS, cache_folder

__all__ = ["DATASETS", "Dataset", "Split", "cache_folder", "load"]
