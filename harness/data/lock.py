"""Lock between the processes of one machine (flock), where the file system has locks."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_SECONDS = 0.1
POLLS_PER_MESSAGE = 300


@contextmanager
def locked(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock file `path`; while another process holds it, poll and report that to `say`.

    The kernel releases the lock when the process that holds it dies, for whatever reason. Where there are no
    locks, nothing is held: it only saves doing work twice.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        polls = 0
        while not _take(file.fileno()):
            if polls % POLLS_PER_MESSAGE == 0:
                say(f"waiting for another process that prepares the same data (it holds {path})")
            polls += 1
            time.sleep(POLL_SECONDS)
        yield


def _take(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # ENOSYS, ENOTSUP, ENOLCK, EINVAL, ...: network file systems differ
        pass
    return True
