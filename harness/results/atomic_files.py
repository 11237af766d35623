"""Atomic file writes: a reader sees a file whole or not at all."""

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
    """Write or replace the file, keeping an older one's mode; raise StoreError if it cannot be written."""
    with _whole(path, content) as temporary:
        with contextlib.suppress(FileNotFoundError):
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        temporary.replace(path)


def update(path: Path, content: bytes) -> bool:
    """Write the file unless it has this content; return whether it was written, or raise StoreError."""
    with contextlib.suppress(OSError):
        if path.read_bytes() == content:
            return False
    write_whole(path, content)
    return True


def place(path: Path, content: bytes, *, durable: bool = True) -> bool:
    """Create the file unless it exists already; return whether this call created it.

    Of several writers exactly one succeeds, even on a shared file system without locks, because the file is
    hard-linked into place. Unless `durable`, it may be lost or empty after a power failure. Raise StoreError
    if it cannot be written.
    """
    with _whole(path, content, durable=durable) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return temporary.stat().st_nlink > 1  # a network file system may have sent the request twice
        except FileNotFoundError:
            if not path.exists():
                raise
            return False  # the one who created it has removed our temporary file
        except OSError as error:
            if error.errno in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
                raise StoreError(
                    f"{path.parent}: found a file system without hard links, by which records appear; "
                    "choose --results on another"
                ) from None
            raise
    return True


def remove(path: Path) -> None:
    """Remove the file if it exists and can be removed; otherwise it may stay, as it is of no more use.

    A link or a folder of that name stays: the harness makes none.
    """
    with contextlib.suppress(OSError):
        if stat.S_ISREG(path.lstat().st_mode):
            path.unlink()


@contextlib.contextmanager
def _whole(path: Path, content: bytes, *, durable: bool = True) -> Iterator[Path]:
    """Yield a complete temporary file beside `path`; if `durable`, sync it before, its folder afterwards.

    After a power failure an unsynced file may be empty, and in an unsynced folder it may be missing.
    """
    temporary = path.with_name(
        f".{path.name}.{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp"
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)
        if durable:
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
