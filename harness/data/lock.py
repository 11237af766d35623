"""One process at a time, on one machine, does what all would do."""

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
    """Hold the lock file `path`; while another process does, poll and say so.

    The kernel frees it when its holder dies, however that happens.
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
    return True
