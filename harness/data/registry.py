"""Registry of datasets: their official files, the folders that may hold these, and their MD5 checks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError

FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


@dataclass(frozen=True)
class Source:
    """A dataset of four idx files; `torchvision` is its class there, None if it ships with the harness."""

    name: str
    torchvision: str | None
    md5s: tuple[str, str, str, str]  # in the order of FILES
    num_classes: int = 10
    test_images: int = 10_000


# Copied from torchvision, because checking a file must not cost an import of torch.
DATASETS: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            "kmnist",
            "KMNIST",
            (
                "bdb82020997e1d708af4cf47b453dcf7",
                "e144d726b3acfaa3e44228e80efcd344",
                "5c965bf0a639b31b8f53240b1b52f4d7",
                "7320c461ea6c1c855c0b718fb2a4b134",
            ),
        ),
        Source(
            "fashion_mnist",
            "FashionMNIST",
            (
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "25c81989df183df01b3e8a0aad5dffbe",
                "bef4ecab320f06d8554ea6380940ec79",
                "bb300cfdad3c16e7a12a480ee83cd310",
            ),
        ),
        Source(
            "mnist",
            "MNIST",
            (
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "d53e105ee54ea40749a09fcbcd1e9432",
                "9fb629c4189551a2d022fa330f9573f3",
                "ec29112dd5afa0611ce80d1b7f02629c",
            ),
        ),
        Source(
            "kmnist_sample",
            None,
            (
                "088c35c4a4a0a9cbac6aba31d5e7ecc6",
                "ef23eb138412e760d8767f8eb0c8d29d",
                "39d32e64bfcec6f6a19cf21ca4452472",
                "e73094074d7bef57cd09aafe455a84c0",
            ),
            test_images=2_000,
        ),
    )
}


def cache_folder(env: Mapping[str, str]) -> Path:
    """Return the user's cache folder; a relative XDG_CACHE_HOME is ignored, as its standard says."""
    xdg = Path(env.get("XDG_CACHE_HOME", ""))
    if xdg.is_absolute():
        return xdg / "harness"
    return Path(env.get("HOME") or Path.home()) / ".cache" / "harness"


def roots(data_dir: Path | None, env: Mapping[str, str]) -> list[Path]:
    """List the folders to search, the most explicit first; raise DataError if a given one is not a folder."""
    named = [("--data-dir", data_dir), ("HARNESS_DATA", env.get("HARNESS_DATA"))]
    found = []
    for origin, path in named:
        if not path:
            continue
        folder = Path(path).expanduser()
        if not folder.is_dir():
            raise DataError(
                f"{origin}: {str(folder)!r} is not a folder, expected one that holds datasets; "
                "correct it or leave it out"
            )
        found.append(folder)
    return [*found, download_root(env)]


def download_root(env: Mapping[str, str]) -> Path:
    """Return the folder for downloads, in torchvision's layout."""
    return cache_folder(env) / "data"


def places(source: Source, folders: list[Path]) -> list[Path]:
    """List the folders that may hold `source`: in torchvision's layout, of its name, the root itself."""
    if source.torchvision is None:
        return [Path(__file__).parent / source.name]
    inside = (f"{source.torchvision}/raw", source.name, source.name.replace("_", "-"), ".")
    return [root / path for root in folders for path in dict.fromkeys(inside)]


def lacking(folder: Path) -> list[str]:
    """List the official files that are not in `folder`."""
    return [file for file in FILES if not (folder / file).exists()]


def locate(source: Source, folders: list[Path]) -> Path | None:
    """Return the first folder with all files of `source`, checked; None if there is none.

    Raise DataError if that folder holds a damaged or wrong file: to search on would hide it.
    """
    for folder in places(source, folders):
        if not lacking(folder):
            check(source, folder)
            return folder
    return None


def check(source: Source, folder: Path) -> None:
    """Raise DataError if a file in `folder` is not the official one; name all such files."""
    wrong = [(folder / file, what) for file in FILES if (what := mistake(source, folder / file))]
    if wrong:
        advice = "replace it by the official file, or remove it to have it downloaded"
        raise DataError("\n".join(f"{path}: {what}; {advice}" for path, what in wrong))


def mistake(source: Source, path: Path) -> str | None:
    """Return why `path` is not the official file of its name, or None if it is."""
    expected = source.md5s[FILES.index(path.name)]
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        return f"cannot be read ({error.strerror}), expected {source.name}'s {path.name} with md5 {expected}"
    if found == expected:
        return None
    owners = [other for other in DATASETS.values() if found in other.md5s]
    what = "it is damaged, cut or another file"
    if owners:
        what = f"it is {owners[0].name}'s {FILES[owners[0].md5s.index(found)]}"
    return f"md5 is {found}, expected {expected} for {source.name}'s {path.name}: {what}"
