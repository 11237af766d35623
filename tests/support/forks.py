"""Processes that are forked from one that has loaded torch already, which takes more than a second."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from harness.results.procfs import children
from tests.support import ROOT
from tests.support.forked_workers import fork_workers

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "torch.distributed.launcher.api",
        "harness.cli.main",
        "harness.runner.launch.launcher",
        "harness.training.trainer",
        "matplotlib.figure",
    ]
)


def context() -> ForkServerContext:
    """Return what makes such processes; the one they are forked from has no threads."""
    with contextlib.chdir(ROOT):  # it would stay in the folder of the test that is the first to ask
        forkserver.ensure_running()
    return _CONTEXT


def harness(arguments: Sequence[str], seconds: float) -> tuple[int | None, str]:
    """Run `python -m harness` here to its end; return its exit code and what it printed on both streams."""
    return _finished(_harness, arguments, seconds)


def script(arguments: Sequence[str], seconds: float) -> tuple[int | None, str]:
    """Run a user's Python file here, in one thread; return its exit code and what it printed."""
    return _finished(_script, arguments, seconds)


class Started:
    """What tests use of subprocess.Popen: a `python -m harness` that goes on, its two streams in one pipe."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.args = ["harness", *arguments]
        ours, theirs = os.pipe()
        self._process = _started(_harness, arguments, theirs)
        os.close(theirs)
        self.stdout = os.fdopen(ours, encoding="utf-8")

    @property
    def pid(self) -> int:
        """Return its process number."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Return its exit code, or a signal's number below zero; None while it lives."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the same."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raise TimeoutExpired where that does not come in time."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Return what is said until nobody holds the pipe any more; raise TimeoutExpired."""
        said: list[str] = []
        reader = threading.Thread(target=lambda: said.append(self.stdout.read()), daemon=True)
        reader.start()
        reader.join(timeout)
        if reader.is_alive():
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        self.stdout.close()
        self.wait(timeout)
        return said[0], None

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it lives."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def workers(self) -> list[int]:
        """Return the process numbers of its ranks: it has forked a process that has forked them."""
        return [rank for zygote in children(self.pid) for rank in children(zygote)]


def _finished(
    run: Callable[[list[str]], None], arguments: Sequence[str], seconds: float
) -> tuple[int | None, str]:
    with tempfile.NamedTemporaryFile() as output:
        process = _started(run, arguments, output.fileno())
        process.join(seconds)
        process.kill()
        process.join()
        return process.exitcode, Path(output.name).read_text(encoding="utf-8")


def _started(run: Callable[[list[str]], None], arguments: Sequence[str], output: int) -> ForkServerProcess:
    """Start a process here that writes both streams to the open file `output`."""
    written = Connection(os.dup(output), readable=False)  # as such a file is handed over
    process = context().Process(
        target=_begin, args=(run, list(arguments), dict(os.environ), Path.cwd(), written)
    )
    process.start()
    written.close()
    return process


def _begin(
    run: Callable[[list[str]], None],
    arguments: list[str],
    env: dict[str, str],
    folder: Path,
    output: Connection,
) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(output.fileno(), stream.fileno())
    output.close()
    # Anew, because a pipe may be now where a file was.
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", encoding="utf-8", closefd=False)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # type: ignore[misc]
    run(arguments)


def _harness(arguments: list[str]) -> None:
    sys.argv = ["harness", *arguments]
    # Else a test has put something in front that Python reads first.
    if os.environ.get("PYTHONPATH") == str(ROOT):
        fork_workers()
    from harness.cli.main import main

    main()


def _script(arguments: list[str]) -> None:
    import torch

    torch.set_num_threads(1)
    sys.argv = list(arguments)
    runpy.run_path(arguments[0], run_name="__main__")
