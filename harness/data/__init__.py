"""Datasets by name, as memory-mapped uint8 arrays. Only a download imports torch and torchvision."""

from harness.data.dataset import Dataset, Split, at_hand, load, prepared_digest
from harness.data.registry import DATASETS, cache_folder

__all__ = ["DATASETS", "Dataset", "Split", "at_hand", "cache_folder", "load", "prepared_digest"]
