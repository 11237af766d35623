"""Files that a reader sees whole or not at all: replaced, or placed where none was."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

from harness.errors import StoreError


def write_whole(path: Path, content: bytes) -> None:
    """Write the file, over an older one, whose mode it keeps; raise StoreError where it cannot be."""
    with _whole(path, content) as temporary:
        with contextlib.suppress(FileNotFoundError):
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        temporary.replace(path)


def update(path: Path, content: bytes) -> bool:
    """Write the file unless it holds this already; tell whether it was written, or raise StoreError."""
    with contextlib.suppress(OSError):
        if path.read_bytes() == content:
            return False
    write_whole(path, content)
    return True


def place(path: Path, content: bytes) -> bool:
    """Write the file unless it is there already; tell whether it was written.

    Of several writers exactly one succeeds, on a shared file system without locks too: it appears by link.
    Raise StoreError where it cannot be written.
    """
    with _whole(path, content) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return temporary.stat().st_nlink > 1  # a network file system may have asked twice
        except FileNotFoundError:
            if not path.exists():
                raise
            return False  # who placed it has swept up
        except OSError as error:
            if error.errno in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
                raise StoreError(
                    f"{path.parent}: found a file system without hard links, by which records appear; "
                    "choose --results on another"
                ) from None
            raise
    return True


def sweep(path: Path) -> None:
    """Remove what killed writers have left of the file and of those that share its stem."""
    for each in path.parent.glob(f".{path.stem}.*.tmp"):
        remove(each)


def remove(path: Path) -> None:
    """Remove the file, if it is there and can be removed: what is of no more use may stay."""
    with contextlib.suppress(OSError):
        path.unlink()


@contextlib.contextmanager
def _whole(path: Path, content: bytes) -> Iterator[Path]:
    """Yield a temporary file beside `path`, whole and on the disk, and see that the change of name is too."""
    temporary = path.with_name(
        f".{path.name}.{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp"
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written: {error.strerror}; make room or choose --results"
        ) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
