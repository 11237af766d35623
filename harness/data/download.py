"""Atomic download of official dataset files, from torchvision's URLs and with its progress bar."""

from __future__ import annotations

import errno
import http.client
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.data.official_files import FILES
from harness.data.official_sources import Source, lacking, mistake, places
from harness.errors import DataError

TIMEOUT_SECONDS = 30.0
CACHE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


def fetch(source: Source, folders: list[Path], folder: Path, say: Callable[[str], None]) -> None:
    """Download the files of `source` that are missing in `folder`; raise DataError if that fails.

    `folders` are the roots that were searched, for the message.
    """
    if source.torchvision is None:
        raise DataError(f"{places(source, [])[0]}: files of {source.name} are missing; install harness again")
    folder.mkdir(parents=True, exist_ok=True)
    for file in lacking(folder):
        say(f"downloading {source.name}'s {file} to {folder}")
        with TemporaryDirectory(dir=folder, prefix=".download-", ignore_cleanup_errors=True) as temporary:
            path = Path(temporary) / file
            failures = []
            for url in addresses(source.torchvision, file):
                failure = _attempt(source, url, path)
                if failure is None:
                    path.replace(folder / file)
                    break
                failures.append(failure)
            else:
                raise DataError(_not_found(source, folders, failures))


def addresses(torchvision_class: str, file: str) -> list[str]:
    """List the URLs from which torchvision would download `file`."""
    import torchvision.datasets  # type: ignore[import-untyped]

    return [f"{mirror}{file}" for mirror in getattr(torchvision.datasets, torchvision_class).mirrors]


def download(url: str, path: Path) -> None:
    """Download `url` to `path` with torchvision's progress bar."""
    from torchvision.datasets.utils import download_url  # type: ignore[import-untyped]

    with with_timeout():
        download_url(url, path.parent, path.name)


@contextmanager
def with_timeout() -> Iterator[None]:
    """End connections that say nothing: torchvision sets no timeout, and would hang behind a firewall."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _attempt(source: Source, url: str, path: Path) -> str | None:
    """Download and check one file; return what went wrong, or None."""
    try:
        download(url, path)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        if isinstance(error, OSError) and error.errno in CACHE_ERRORS:
            raise
        return f"{url}: {error}"
    wrong = mistake(source, path, path.name)
    return f"{url}: {wrong}" if wrong else None


def _not_found(source: Source, folders: list[Path], failures: list[str]) -> str:
    """Write where the files were searched, why they could not be downloaded, and which ones to provide."""
    partly = [(place, lacking(place)) for place in places(source, folders)]
    inside = ", ".join(path.name for path in places(source, [Path()])[1:-1])
    lines = [
        f"{source.name}: its files are not on this machine and could not be downloaded.",
        f"Looked in (each: as it is, in {source.torchvision}/raw, {inside}):",
        *(f"  {root}" for root in folders),
        *(f"  {place} lacks {', '.join(files)}" for place, files in partly if 0 < len(files) < len(FILES)),
        "Tried to download:",
        *(f"  {failure}" for failure in failures),
        "Put these files, packed or unpacked, into one folder and set HARNESS_DATA to it:",
        *(f"  {file}  md5 {md5}" for file, md5 in zip(FILES, source.md5s, strict=True)),
    ]
    return "\n".join(lines)
