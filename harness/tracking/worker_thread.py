"""Worker thread for one tracker; the tracker's errors and hangs stay inside it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue


class WorkerThread:
    """Thread that executes one call after another; a caller waits for at most `patience_seconds`."""

    def __init__(self, name: str, patience_seconds: float) -> None:
        self.patience_seconds = patience_seconds
        self._work: SimpleQueue[tuple[Future[None], Callable[[], None]] | None] = SimpleQueue()
        # a daemon, so that an exiting process does not wait for a call that hangs
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def trouble(self, work: Callable[[], None]) -> BaseException | None:
        """Execute the work in the thread; return its error, or a TimeoutError if it takes too long."""
        done: Future[None] = Future()
        self._work.put((done, work))
        try:
            return done.exception(self.patience_seconds)
        except TimeoutError:
            return TimeoutError(f"no answer for {self.patience_seconds:g} s")

    def close(self) -> None:
        """End the thread after its current work."""
        self._work.put(None)

    def _run(self) -> None:
        while (piece := self._work.get()) is not None:
            done, work = piece
            try:
                work()
            except BaseException as error:  # also SystemExit, or the cancellation of a task that is not ours
                done.set_exception(error)
            else:
                done.set_result(None)
