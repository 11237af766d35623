"""Processes that are forked from one that has loaded torch already, which takes more than a second."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from unittest import mock

from harness.results.procfs import children, stat
from tests.support import ROOT, forked_programs
from tests.support.forked_workers import fork_workers

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "torch.distributed.run",
        "harness.cli.main",
        "harness.runner.launch.launcher",
        "harness.training.trainer",
        "matplotlib.figure",
        # What the modules of tests import, which every rank of a test imports to find its function.
        "pytest",
        "jsonschema",
    ]
)


def context() -> ForkServerContext:
    """Return what makes such processes; the one they are forked from has no threads."""
    # Else it would be in the folder, and hooked, of the test that is the first to ask.
    with contextlib.chdir(ROOT), mock.patch.dict(os.environ, {"PYTHONPATH": str(ROOT)}):
        forkserver.ensure_running()
    return _CONTEXT


def finished(command: Sequence[str], seconds: float) -> tuple[int | None, str]:
    """Run a command of Python's here to its end; return its exit code and what it printed on both streams."""
    with tempfile.NamedTemporaryFile() as output:
        process = Forked(command, output.fileno())
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
        process.wait()
        return process.returncode, Path(output.name).read_text(encoding="utf-8")


class Forked:
    """What is used of subprocess.Popen: a command of Python's, both its streams in the open file `output`.

    `before` is called first in the process.
    """

    def __init__(
        self,
        command: Sequence[str],
        output: int,
        *,
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
        before: Callable[[], object] | None = None,
    ) -> None:
        self.args = list(command)
        written = Connection(os.dup(output), readable=False)  # as such a file is handed over
        place = (dict(os.environ if env is None else env), folder or Path.cwd())
        self._process = context().Process(target=_begin, args=(self.args, *place, written, before))
        self._process.start()
        written.close()

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

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it lives."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class Started(Forked):
    """The same with its streams in a pipe."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        before: Callable[[], object] | None = None,
    ) -> None:
        ours, theirs = os.pipe()
        super().__init__(command, theirs, env=env, before=before)
        os.close(theirs)
        self.stdout = os.fdopen(ours, encoding="utf-8")

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


def ranks_of(launcher: int) -> list[int]:
    """Return the process numbers of a launcher's ranks: it has forked them, or a process that has."""
    forked = children(launcher)
    return [
        each for each in (*forked, *itertools.chain(*map(children, forked))) if stat(each)[3:4] == [str(each)]
    ]


def _begin(
    command: list[str],
    env: dict[str, str],
    folder: Path,
    output: Connection,
    before: Callable[[], object] | None,
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
    if before is not None:
        before()
    fork_workers()
    forked_programs.run(command)
