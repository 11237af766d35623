"""Loading a dataset: where its files are looked for, and how missing ones are downloaded. No network."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.data import download, load, named
from harness.data.official_files import FILES
from harness.errors import DataError
from tests.support.tiny_kmnist import Place, downloads, fail


def test_unknown_name() -> None:
    with pytest.raises(DataError, match="dataset: 'kmnst' is unknown; did you mean 'kmnist'"):
        named("kmnst")


def test_missing_root_is_an_error_for_any_dataset(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--data-dir: .*absent"):
        load(named("kmnist_sample"), tmp_path / "absent", {})


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
        "Put these files, packed or unpacked, into one folder and set HARNESS_DATA to it:\n"
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


def test_download_is_torchvisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, Path, str]] = []
    monkeypatch.setattr("torchvision.datasets.utils.download_url", lambda *args: calls.append(args))
    [url] = download.addresses("KMNIST", FILES[0])
    download.download(url, tmp_path / FILES[0])
    assert calls == [(url, tmp_path, FILES[0])]
    assert url.startswith("http")
    assert url.endswith(f"/kmnist/{FILES[0]}")
