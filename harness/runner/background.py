"""Work of a rank beside its training: the record of a trial is written while the next one is trained."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait


class Background:
    """Thread that does one piece of work at a time."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="records")
        self._last: Future[None] | None = None

    def submit(self, work: Callable[[], None]) -> None:
        """Start the work once the piece before it is finished; raise the error of that one."""
        self.finish()
        self._last = self._thread.submit(work)

    def finish(self) -> None:
        """Wait until the work is finished; raise its error, once."""
        last, self._last = self._last, None
        if last:
            last.result()

    def settle(self, timeout_seconds: float) -> None:
        """Wait until the work is finished, from any thread; its error is left to `finish`."""
        wait([last] if (last := self._last) else [], timeout_seconds)
