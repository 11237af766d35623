"""Work of a rank beside its training: the record of a trial is written while the next one is trained."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait


class Background:
    """Thread that does one piece of work at a time."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="records")
        self._last: Future[None] | None = None
        self._changing = threading.Lock()
        self._is_closed = False

    @property
    def has_failed(self) -> bool:
        """Tell whether the latest piece of work has ended with an error."""
        last = self._last
        return last is not None and last.done() and last.exception() is not None

    def submit(self, work: Callable[[], None]) -> None:
        """Have the work done after the piece before it; wait for that one and raise its error."""
        with self._changing:
            if not self._is_closed:
                last, self._last = self._last, self._thread.submit(work)
        if self._is_closed:
            threading.Event().wait()  # this process is about to become another
        if last:
            last.result()

    def finish(self) -> None:
        """Wait until the work is finished; raise its error, once."""
        last, self._last = self._last, None
        if last:
            last.result()

    def close(self, timeout_seconds: float) -> None:
        """Wait until the work is finished, from any thread, and take no more; its error is dropped."""
        with self._changing:
            self._is_closed = True
        wait([last] if (last := self._last) else [], timeout_seconds)
