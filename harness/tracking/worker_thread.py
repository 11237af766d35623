"""A thread of a tracker's own, in which it may hang or fail as it likes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue


class WorkerThread:
    """Does one piece of work after another in its thread; whoever waits does so for `patience_seconds`."""

    def __init__(self, name: str, patience_seconds: float) -> None:
        self.patience_seconds = patience_seconds
        self._work: SimpleQueue[tuple[Future[None], Callable[[], None]] | None] = SimpleQueue()
        # a daemon, as no process is to wait at its end for one that hangs
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def trouble(self, work: Callable[[], None]) -> BaseException | None:
        """Have the work done; return what went wrong, a TimeoutError where it takes too long."""
        done: Future[None] = Future()
        self._work.put((done, work))
        try:
            return done.exception(self.patience_seconds)
        except TimeoutError:
            return TimeoutError(f"no answer for {self.patience_seconds:g} s")

    def close(self) -> None:
        """End the thread, after the work that it is at."""
        self._work.put(None)

    def _run(self) -> None:
        while (piece := self._work.get()) is not None:
            done, work = piece
            try:
                work()
            except BaseException as error:  # also what would end the process, or a task that is none of ours
                done.set_exception(error)
            else:
                done.set_result(None)
