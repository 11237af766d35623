import gzip
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from harness.data.folders import cache_folder, roots
from harness.data.official_files import FILES, unpacked
from harness.data.official_sources import SOURCES, Source, locate
from harness.errors import DataError
from tests.support import ROOT


def content(name: str, file: str) -> bytes:
    return gzip.compress(f"{name} {file}".encode(), mtime=0)


def source(name: str, torchvision: str) -> Source:
    first, second, third, fourth = (hashlib.md5(content(name, file)).hexdigest() for file in FILES)
    contents = *(hashlib.sha256(unpacked(content(name, file))).hexdigest() for file in FILES[:3]), None
    return Source(name, torchvision, (first, second, third, fourth), contents)


LETTERS = source("big_letters", "BigLetters")
DIGITS = source("digits", "Digits")


@pytest.fixture(autouse=True)
def small_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    for small in (LETTERS, DIGITS):
        monkeypatch.setitem(SOURCES, small.name, small)


def provide(folder: Path, name: str = "big_letters", files: tuple[str, ...] = FILES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        (folder / file).write_bytes(content(name, file))
    return folder


def test_table_is_that_of_torchvision() -> None:
    import torchvision.datasets  # type: ignore[import-untyped]

    official = {
        name: entry for name, entry in SOURCES.items() if name in ("kmnist", "fashion_mnist", "mnist")
    }
    assert len(official) == 3
    for entry in official.values():
        resources = getattr(torchvision.datasets, entry.torchvision or "").resources
        assert list(zip(FILES, entry.md5s, strict=True)) == resources


def test_names_need_no_torch() -> None:
    code = (
        "import sys, harness.config.settings; from harness.data.kinds import BY_NAME; print(*BY_NAME); "
        "assert not {'torch', 'torchvision', 'PIL'} & set(sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert {"fashion_mnist", "kmnist_sample", "cifar10", "npz"} < set(shown.stdout.split())


@pytest.mark.parametrize("place", ["BigLetters/raw", "big_letters", "big-letters", "."])
def test_layouts(tmp_path: Path, place: str) -> None:
    folder = provide(tmp_path / place)
    assert locate(LETTERS, [tmp_path]) == folder


def test_first_root_is_preferred(tmp_path: Path) -> None:
    first, second = provide(tmp_path / "first"), provide(tmp_path / "second")
    assert locate(LETTERS, [first, second]) == first
    assert locate(LETTERS, [second, first]) == second


def test_folder_that_lacks_files_is_passed_over(tmp_path: Path) -> None:
    partly = provide(tmp_path / "first" / "big_letters", files=FILES[1:])
    whole = provide(tmp_path / "second")
    assert locate(LETTERS, [partly.parent, partly, whole]) == whole
    assert locate(LETTERS, [partly.parent, partly]) is None


@pytest.mark.parametrize("damaged", [b"", b"big_letters t10k", b"something else"])
def test_damaged_file_is_named(tmp_path: Path, damaged: bytes) -> None:
    path = provide(tmp_path / "first") / FILES[2]
    path.write_bytes(damaged)
    whole = provide(tmp_path / "second")
    with pytest.raises(DataError) as raised:
        locate(LETTERS, [path.parent, whole])
    found = hashlib.md5(damaged).hexdigest()
    assert str(raised.value) == (
        f"{path}: md5 is {found}, expected {LETTERS.md5s[2]} for big_letters's {FILES[2]}: "
        "it is damaged, cut or another file; replace it by the official file, or "
        "remove it to have it downloaded"
    )
    assert path.read_bytes() == damaged


def test_file_of_another_dataset_is_recognised(tmp_path: Path) -> None:
    provide(tmp_path)
    provide(tmp_path, "digits", FILES[:2])
    with pytest.raises(DataError) as raised:
        locate(LETTERS, [tmp_path])
    first, second = str(raised.value).splitlines()
    assert f"it is digits's {FILES[0]}" in first
    assert f"it is digits's {FILES[1]}" in second


def test_swapped_files_are_recognised(tmp_path: Path) -> None:
    path = provide(tmp_path) / FILES[0]
    path.write_bytes(content("big_letters", FILES[2]))
    with pytest.raises(DataError, match=f"it is big_letters's {FILES[2]}"):
        locate(LETTERS, [tmp_path])


def test_unreadable_file_is_named(tmp_path: Path) -> None:
    path = provide(tmp_path) / FILES[3]
    path.unlink()
    path.mkdir()
    with pytest.raises(
        DataError, match=f"{FILES[3]}: cannot be read .Is a directory., expected big_letters's"
    ):
        locate(LETTERS, [tmp_path])


@pytest.mark.parametrize("name", ["{}", "{}.gz", "{}/{}"])
def test_a_file_counts_by_its_content(tmp_path: Path, name: str) -> None:
    """Unpacked, packed again by another gzip, or in a folder of its own as from Kaggle."""
    folder = provide(tmp_path)
    for file in FILES[:3]:
        stem, inside = file.removesuffix(".gz"), unpacked((folder / file).read_bytes())
        (folder / file).unlink()
        path = folder / name.format(stem, stem.replace("-idx", ".idx"))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(gzip.compress(inside, 1) if name.endswith(".gz") else inside)
    assert locate(LETTERS, [tmp_path]) == folder


def test_what_is_wrong_with_an_unpacked_file_is_said(tmp_path: Path) -> None:
    folder = provide(tmp_path)
    for place, (owner, file) in enumerate((("digits", FILES[1]), ("big_letters", FILES[3]))):
        path = folder / FILES[place * 3].removesuffix(".gz")
        path.write_bytes(unpacked(content(owner, file)))
        (folder / FILES[place * 3]).unlink()
    with pytest.raises(DataError) as raised:
        locate(LETTERS, [tmp_path])
    first, second = str(raised.value).splitlines()
    assert "train-images-idx3-ubyte: md5 is" in first
    assert "or its unpacked content: it is digits's train-labels-idx1-ubyte.gz" in first
    assert "found big_letters's t10k-labels-idx1-ubyte.gz unpacked or renamed, which can be checked" in second


def test_order_of_roots(tmp_path: Path) -> None:
    given, named = tmp_path / "given", tmp_path / "named"
    given.mkdir()
    named.mkdir()
    env = {"HARNESS_DATA": str(named), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert roots(given, env) == [given, named, tmp_path / "cache/harness/data"]
    assert roots(None, env | {"HARNESS_DATA": ""}) == [tmp_path / "cache/harness/data"]


def test_named_root_must_exist(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    with pytest.raises(DataError, match=f"--data-dir: '{absent}' is not a folder"):
        roots(absent, {})
    with pytest.raises(DataError, match=f"HARNESS_DATA: '{absent}' is not a folder"):
        roots(None, {"HARNESS_DATA": str(absent)})


def test_cache_folder(tmp_path: Path) -> None:
    assert cache_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "harness"
    assert cache_folder({"HOME": str(tmp_path)}) == tmp_path / ".cache/harness"
    assert cache_folder({"HOME": str(tmp_path), "XDG_CACHE_HOME": "relative"}) == tmp_path / ".cache/harness"
    assert cache_folder({}) == Path.home() / ".cache/harness"
