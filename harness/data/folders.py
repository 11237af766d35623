"""Folders that data are searched in, downloaded to and cached in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness import environment
from harness.errors import DataError
from harness.home import user_folder


@dataclass(frozen=True)
class Search:
    """Where a dataset is looked for, and who is told what is done; `folder` is what paths are relative to."""

    data_dir: Path | None
    env: Mapping[str, str]
    say: Callable[[str], None]
    folder: Path = Path()

    @cached_property
    def roots(self) -> list[Path]:
        """List the folders to search, as `roots` does."""
        return roots(self.data_dir, self.env)


def cache_folder(env: Mapping[str, str]) -> Path:
    """Return the user's cache folder; raise DataError if there is no home folder for it."""
    try:
        return user_folder(env, "XDG_CACHE_HOME", ".cache")
    except RuntimeError:
        raise _unknown_home("~", "the user's cache folder") from None


def expanded(path: Path, what: str) -> Path:
    """Return the path with its `~` replaced; raise DataError if nobody knows that home folder."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise _unknown_home(str(path), what) from None


def _unknown_home(path: str, what: str) -> DataError:
    return DataError(
        f"{what}: {path!r} names a home folder that is unknown here: HOME is not set, or the password "
        "database has no such user; set HOME or XDG_CACHE_HOME, or give the path in full"
    )


def roots(data_dir: Path | None, env: Mapping[str, str]) -> list[Path]:
    """List the folders to search, the most explicit first; raise DataError if a given one is not a folder."""
    named = [("--data-dir", data_dir), (environment.DATA, env.get(environment.DATA))]
    found = []
    for origin, path in named:
        if not path:
            continue
        folder = expanded(Path(path), origin)
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
