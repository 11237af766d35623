"""Loading as a whole: places, downloads, the cache, many processes at once. No network, a tiny dataset."""

from __future__ import annotations

import fcntl
import hashlib
import multiprocessing
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import pytest

from harness.data import DATASETS, Dataset, download, load, lock
from harness.data.cache import key
from harness.data.idx import write
from harness.data.registry import FILES, Source
from harness.errors import DataError


@dataclass(frozen=True)
class Place:
    """A tiny "kmnist" with its official files, and a user's empty cache."""

    source: Source
    official: Path
    env: dict[str, str]

    @property
    def cache(self) -> Path:
        return Path(self.env["XDG_CACHE_HOME"]) / "harness"

    @property
    def raw(self) -> Path:
        return self.cache / "data/KMNIST/raw"

    @property
    def resized(self) -> Path:
        return self.cache / "resized" / key(self.source, 8)

    def load(self, data_dir: Path | None = None, say: Callable[[str], None] = lambda _: None) -> Dataset:
        return load("kmnist", 8, data_dir, self.env, say)


def serve(place: Place) -> None:
    """Make `place`'s files official and downloadable; each download leaves a line in a file."""

    def copy(url: str, path: Path) -> None:
        with (place.official / "downloads").open("a") as log:
            log.write(f"{url}\n")
        shutil.copy(place.official / path.name, path)

    def addresses(torchvision_class: str, file: str) -> list[str]:
        return [f"https://example.org/{file}"]

    DATASETS["kmnist"] = place.source
    download.download = copy
    download.addresses = addresses


def fail(error: Exception) -> Callable[[str, Path], None]:
    def failing(url: str, path: Path) -> None:
        raise error

    return failing


def downloads(place: Place) -> list[str]:
    log = place.official / "downloads"
    return log.read_text().split() if log.exists() else []


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
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
    monkeypatch.setitem(DATASETS, "kmnist", source)
    monkeypatch.setattr(download, "download", download.download)
    monkeypatch.setattr(download, "addresses", download.addresses)
    monkeypatch.setattr(lock, "POLL_SECONDS", 0.001)
    serve(place)
    return place


def test_unknown_name() -> None:
    with pytest.raises(DataError, match="dataset: 'kmnst' is unknown; did you mean 'kmnist'"):
        load("kmnst", None)


def test_missing_root_is_an_error_for_any_dataset(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--data-dir: .*absent"):
        load("kmnist_sample", None, tmp_path / "absent", {})


def test_files_here_are_not_downloaded(place: Place) -> None:
    dataset = place.load(place.official)
    assert dataset.train.images.shape == (20, 1, 8, 8)
    assert dataset.test.labels.shape == (10,)
    assert downloads(place) == []


def test_missing_files_are_downloaded_once(place: Place) -> None:
    said: list[str] = []
    digest = place.load(say=said.append).digest
    assert [url.rsplit("/")[-1] for url in downloads(place)] == list(FILES)
    assert sorted(path.name for path in place.raw.iterdir()) == sorted(FILES)
    assert said[0] == f"downloading kmnist's {FILES[0]} to {place.raw}"
    assert said[-1] == "resizing kmnist to 8 x 8 pixels, once"
    assert place.load().digest == digest == place.load(place.official).digest
    assert len(downloads(place)) == 4


def test_only_missing_files_are_downloaded(place: Place) -> None:
    place.raw.mkdir(parents=True)
    for file in FILES[1:]:
        shutil.copy(place.official / file, place.raw)
    place.load()
    assert downloads(place) == [f"https://example.org/{FILES[0]}"]


def test_damaged_file_in_the_cache_is_neither_used_nor_overwritten(place: Place) -> None:
    place.raw.mkdir(parents=True)
    (place.raw / FILES[1]).write_bytes(b"cut")
    with pytest.raises(DataError, match=f"{FILES[1]}: md5 is .*remove it to have it downloaded"):
        place.load()
    assert (place.raw / FILES[1]).read_bytes() == b"cut"
    (place.raw / FILES[1]).unlink()
    place.load()


def test_damaged_file_is_reported_even_if_the_cache_is_whole(place: Place) -> None:
    place.load(place.official)
    (place.official / FILES[0]).write_bytes(b"damaged")
    with pytest.raises(DataError, match=FILES[0]):
        place.load(place.official)


def test_whole_cache_needs_no_files(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = place.load(place.official).digest
    monkeypatch.setattr(download, "download", fail(AssertionError("needs no download")))
    assert place.load().digest == digest


def test_offline_message_says_what_to_provide(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "download", fail(OSError("Network is unreachable")))
    partly = tmp_path / "mine"
    partly.mkdir()
    shutil.copy(place.official / FILES[0], partly)
    with pytest.raises(DataError) as raised:
        place.load(partly)
    md5s = place.source.md5s
    assert str(raised.value) == (
        "kmnist: its files are not on this machine and could not be downloaded.\n"
        "Looked in (each: as it is, in KMNIST/raw, kmnist):\n"
        f"  {partly}\n"
        f"  {place.cache}/data\n"
        f"  {partly} lacks {FILES[1]}, {FILES[2]}, {FILES[3]}\n"
        "Tried to download:\n"
        f"  https://example.org/{FILES[0]}: Network is unreachable\n"
        "Put these files into one folder and set HARNESS_DATA to it:\n"
        f"  {FILES[0]}  md5 {md5s[0]}\n"
        f"  {FILES[1]}  md5 {md5s[1]}\n"
        f"  {FILES[2]}  md5 {md5s[2]}\n"
        f"  {FILES[3]}  md5 {md5s[3]}"
    )
    assert list(place.raw.iterdir()) == []


def test_wrong_download_is_not_kept(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "download", lambda url, path: path.write_text("<html>Log in</html>"))
    with pytest.raises(DataError, match=f"{FILES[0]}: md5 is .*: it is damaged, cut or another file\n"):
        place.load()
    assert list(place.raw.iterdir()) == []


def test_second_address_is_tried(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    working = download.download

    def second_only(url: str, path: Path) -> None:
        if "first" in url:
            path.write_bytes(b"cut")
            raise RuntimeError("connection lost")
        working(url, path)

    monkeypatch.setattr(download, "download", second_only)
    monkeypatch.setattr(
        download, "addresses", lambda _, file: [f"https://first/{file}", f"https://second/{file}"]
    )
    place.load()
    assert len(downloads(place)) == 4


def test_full_disk_is_no_network_error(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "download", fail(OSError(28, "No space left on device")))
    with pytest.raises(DataError, match=r"cannot be written \(No space left on device\).*XDG_CACHE_HOME"):
        place.load()


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


def test_cache_is_keyed_by_content_and_size(place: Place) -> None:
    other = Source("kmnist", "KMNIST", DATASETS["mnist"].md5s)
    assert len({key(place.source, 8), key(place.source, 9), key(place.source, None), key(other, 8)}) == 4


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


def test_download_is_torchvisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, Path, str]] = []
    monkeypatch.setattr("torchvision.datasets.utils.download_url", lambda *args: calls.append(args))
    [url] = download.addresses("KMNIST", FILES[0])
    download.download(url, tmp_path / FILES[0])
    assert calls == [(url, tmp_path, FILES[0])]
    assert url.startswith("http")
    assert url.endswith(f"/kmnist/{FILES[0]}")
