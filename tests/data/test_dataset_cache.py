"""The cache of resized data: damage, interruptions, places without write access, many processes at once."""

from __future__ import annotations

import errno
import fcntl
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from harness.data import named
from harness.data.cache import folder_of
from harness.data.folders import Search
from harness.data.official_sources import SOURCES, Source
from harness.errors import DataError
from tests.support.tiny_kmnist import Place, downloads, fail, serve


def test_unwritable_cache(place: Place) -> None:
    place.cache.parent.mkdir()
    place.cache.write_text(
        "a file where the folder should be"
    )  # unlike a read-only folder, it stops root too
    with pytest.raises(DataError, match=f"data is cached in {place.cache}: .*XDG_CACHE_HOME"):
        place.load(place.official)


def test_read_only_cache_that_is_whole_serves(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = place.load(place.official).digest
    monkeypatch.setattr("harness.data.dataset.locked", fail(AssertionError("needs no lock")))
    assert place.load(place.official).digest == digest


def test_interrupted_build_leaves_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", stop)
        with pytest.raises(KeyboardInterrupt):
            place.load(place.official)
    assert list(place.resized.parent.iterdir()) == []
    place.load(place.official)
    assert list(place.resized.parent.iterdir()) == [place.resized]


def flip_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flip_byte, cut, empty, Path.unlink])
@pytest.mark.parametrize("file", ["train_images.npy", "test_labels.npy", "digest.json"])
def test_damaged_cache_is_rebuilt(place: Place, damage: Callable[[Path], None], file: str) -> None:
    digest = place.load(place.official).digest
    damage(place.resized / file)
    said: list[str] = []
    assert place.load(place.official, said.append).digest == digest
    assert said == ["resizing kmnist to 8 x 8 pixels, once"]
    again: list[str] = []
    assert place.load(place.official, again.append).digest == digest
    assert again == []


def test_a_cache_of_an_earlier_version_is_made_again(place: Place) -> None:
    digest = place.load(place.official).digest
    about = place.resized / "digest.json"
    about.write_text(json.dumps({"digest": digest}), encoding="utf-8")
    dataset = place.load(place.official)
    assert dataset.digest == digest
    assert dataset.classes == tuple("0123456789")


def test_a_rebuilt_cache_leaves_what_lies_beside(place: Place) -> None:
    digest = place.load(place.official).digest
    notes = place.resized / "notes.md"
    notes.write_bytes(b"mine")
    flip_byte(place.resized / "train_images.npy")
    assert place.load(place.official).digest == digest
    assert notes.read_bytes() == b"mine"


def test_garbled_header_in_the_cache(place: Place) -> None:
    digest = place.load(place.official).digest
    path = place.resized / "train_images.npy"
    path.write_bytes(path.read_bytes().replace(b"{'descr'", b"{'''escr"))
    assert place.load(place.official).digest == digest


def test_loser_of_a_race_uses_the_winners_work(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def beaten(new: Path, folder: Path) -> Path:
        shutil.copytree(new, folder)
        return rename(new, folder)

    monkeypatch.setattr(Path, "rename", beaten)
    place.load(place.official)
    assert list(place.resized.parent.iterdir()) == [place.resized]


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL, errno.EIO])
def test_a_file_system_without_locks_does(place: Place, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(_: int, __: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    place.load(place.official)
    assert list(place.resized.parent.iterdir()) == [place.resized]


def test_without_locks_the_first_ones_work_is_kept(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that began to build before another had ended leaves what that one may have opened."""
    place.load(place.official)
    before = (place.resized / "digest.json").stat().st_ino
    monkeypatch.setattr("harness.data.dataset.opened", lambda folder: None)  # as it was when this one looked
    place.load(place.official)
    assert (place.resized / "digest.json").stat().st_ino == before
    assert list(place.resized.parent.iterdir()) == [place.resized]


def test_cache_is_keyed_by_content_and_size(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    search = Search(None, place.env, print)
    folders = {folder_of(named("kmnist", size), search) for size in (8, 9, None)}
    monkeypatch.setitem(SOURCES, "kmnist", Source("kmnist", "KMNIST", SOURCES["mnist"].md5s))
    assert len({*folders, folder_of(named("kmnist", 8), search)}) == 4


def test_waiting_is_told(place: Place) -> None:
    said: list[str] = []
    path = place.cache / "kmnist.lock"
    path.parent.mkdir(parents=True)
    with path.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        def say(message: str) -> None:
            said.append(message)
            fcntl.flock(held, fcntl.LOCK_UN)

        place.load(place.official, say)
    assert said[0] == f"waiting for another process that prepares the same data (it holds {path})"


def load_together(place: Place, barrier: Barrier, results: SimpleQueue[tuple[str, list[str]]]) -> None:
    serve(place)
    said: list[str] = []
    barrier.wait(timeout=60)
    results.put((place.load(say=said.append).digest, said))


@pytest.mark.e2e
def test_eight_processes_download_and_resize_once(place: Place) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(8), context.SimpleQueue()
    workers = [context.Process(target=load_together, args=(place, barrier, results)) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 8
    digests, said = zip(*(results.get() for _ in workers), strict=True)
    assert set(digests) == {place.load().digest}
    assert sum("resizing" in message for messages in said for message in messages) == 1
    assert len(downloads(place)) == 4
    assert list(place.resized.parent.iterdir()) == [place.resized]
