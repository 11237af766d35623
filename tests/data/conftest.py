"""A tiny dataset and an empty cache; no network."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from harness.data import download, lock
from harness.data.idx import write
from harness.data.official_files import FILES
from harness.data.official_sources import SOURCES, Source
from tests.support.tiny_kmnist import Place, serve


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Make the tiny dataset's files official, and serve them."""
    official = tmp_path / "official"
    official.mkdir()
    rng = np.random.default_rng(0)
    for file, count in zip(FILES, (20, 20, 10, 10), strict=True):
        shape = (count, 6, 6) if "images" in file else (count,)
        write(official / file, rng.integers(0, 10, shape, np.uint8))
    first, second, third, fourth = (hashlib.md5((official / f).read_bytes()).hexdigest() for f in FILES)
    source = Source("kmnist", "KMNIST", (first, second, third, fourth))
    place = Place(source, official, {"XDG_CACHE_HOME": str(tmp_path / "cache")})
    # serve() changes these for good, in other processes; here they come back.
    monkeypatch.setitem(SOURCES, "kmnist", source)
    monkeypatch.setattr(download, "download", download.download)
    monkeypatch.setattr(download, "addresses", download.addresses)
    monkeypatch.setattr(lock, "POLL_SECONDS", 0.001)
    serve(place)
    return place
