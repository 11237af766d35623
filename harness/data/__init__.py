"""Datasets: their kinds and settings, and their arrays, memory-mapped. Only a download imports torch."""

from harness.data.dataset import Dataset, Split, at_hand, load, prepared_digest
from harness.data.folders import cache_folder
from harness.data.kinds import KINDS, named
from harness.data.settings import DatasetSettings

__all__ = [
    "KINDS",
    "Dataset",
    "DatasetSettings",
    "Split",
    "at_hand",
    "cache_folder",
    "load",
    "named",
    "prepared_digest",
]
