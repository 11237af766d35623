"""Official idx files of datasets: their names, checksums and sizes, and the folders that may hold them."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.data.official_files import FILES, path_of, unpacked
from harness.errors import DataError


@dataclass(frozen=True)
class Source:
    """A dataset of four idx files; `torchvision` is its class there, None if it ships with the harness."""

    name: str
    torchvision: str | None
    md5s: tuple[str, str, str, str]  # in the order of FILES
    contents: tuple[str | None, ...] = (None,) * 4  # the SHA-256 of each file unpacked, if known
    classes: tuple[str, ...] = tuple("0123456789")
    train_images: int = 60_000
    test_images: int = 10_000


_KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_CLOTHES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)

# Copied from torchvision, because checking a file must not cost an import of torch.
SOURCES: dict[str, Source] = {
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
            (
                None,  # nobody has published it
                "2a16eeae62da984b8bd24fa32e31d47291f01dac3fe84d5594f304f71e7d374b",
                "76fbd229ce87db80dd281af5e6670de4ad0e42fb30a7bd643972994c47c1f42e",
                "a11dc742be8e781a40a92f53d6a4957e7b7d36df2faa097659131ebfd8fd60c6",
            ),
            classes=_KANA,
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
            (
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
            classes=_CLOTHES,
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
            (
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
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
            (
                "77fd8c0b655aa2566c3ff8d5d25db82ebdfbdbc3f7f2e52ed3fac1b65bd51e67",
                "d19c97246a752b19a93068c9d668b8b878d60ce6a3871193094ebbe87a134cda",
                "5016223f97f00dd1f370d81f1f6a774531f2834040ce3cf51682b5d161ce10b6",
                "3d31b1794e01002c3b21e8e4b88502c3724632ace4133a494a87798d0d20ede0",
            ),
            classes=_KANA,
            train_images=8_000,
            test_images=2_000,
        ),
    )
}


def places(source: Source, folders: list[Path]) -> list[Path]:
    """List the folders that may hold `source`: in torchvision's layout, of its name, the root itself."""
    if source.torchvision is None:
        return [Path(__file__).parent / source.name]
    inside = (f"{source.torchvision}/raw", source.name, source.name.replace("_", "-"), ".")
    return [root / path for root in folders for path in dict.fromkeys(inside)]


def lacking(folder: Path) -> list[str]:
    """List the official files that are not in `folder`, under any name."""
    return [file for file in FILES if path_of(folder, file) is None]


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
    found = [(file, path_of(folder, file) or folder / file) for file in FILES]
    wrong = [(path, what) for file, path in found if (what := mistake(source, path, file))]
    if wrong:
        advice = "replace it by the official file, or remove it to have it downloaded"
        raise DataError("\n".join(f"{path}: {what}; {advice}" for path, what in wrong))


def mistake(source: Source, path: Path, file: str) -> str | None:
    """Return why `path` is not the official `file`, by its bytes or unpacked, or None if it is."""
    place = FILES.index(file)
    expected, content_expected = source.md5s[place], source.contents[place]
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"cannot be read ({error.strerror}), expected {source.name}'s {file} with md5 {expected}"
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found == expected:
        return None
    inside = _content_digest(content)
    if inside and inside == content_expected:
        return None
    owner = next((name for name in _owners(found, inside)), "")
    if content_expected is None and not owner and path.name != file:
        return (
            f"found {source.name}'s {file} unpacked or renamed, which can be checked only as it is "
            f"published, with md5 {expected}"
        )
    what = f"it is {owner}" if owner else "it is damaged, cut or another file"
    return f"md5 is {found}, expected {expected} for {source.name}'s {file}{_or_unpacked(path, file)}: {what}"


def _or_unpacked(path: Path, file: str) -> str:
    return "" if path.name == file else " or its unpacked content"


def _content_digest(content: bytes) -> str:
    try:
        return hashlib.sha256(unpacked(content)).hexdigest()
    except (OSError, EOFError, zlib.error):
        return ""


def _owners(md5: str, inside: str) -> Iterator[str]:
    """Yield the official files that have this MD5, or this content."""
    for other in SOURCES.values():
        for file, known, content in zip(FILES, other.md5s, other.contents, strict=True):
            if md5 == known or (inside and inside == content):
                yield f"{other.name}'s {file}"
