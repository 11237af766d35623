"""torchrun's workers, forked from a process that has loaded torch already instead of started anew.

Loading torch takes two seconds of a core for each, which is most of what a whole run costs in the tests.
"""

from __future__ import annotations

import atexit
import itertools
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from harness import environment
from tests.support import forked_programs

_MESSAGE_BYTES = 1 << 20


class Zygote:
    """A process without threads, forked from this one, that forks the workers and tells how they ended."""

    def __init__(self) -> None:
        # Messages arrive whole or not at all, also where a signal breaks into a call.
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._numbers = itertools.count()
        if os.fork() == 0:
            self._socket.close()
            _serve(theirs)
        theirs.close()

    def ask(self, *request: Any) -> Any:
        """Send a request and return its answer; answers to requests that were broken off are skipped."""
        number = next(self._numbers)
        self._socket.send(pickle.dumps((number, *request)))
        while True:
            answered, answer = pickle.loads(self._socket.recv(_MESSAGE_BYTES))
            if answered == number:
                return answer


class Worker:
    """What torchrun uses of subprocess.Popen."""

    def __init__(self, zygote: Zygote, args: Sequence[str], env: dict[str, str]) -> None:
        self._zygote, self.args, self.returncode = zygote, args, None
        self.pid: int = zygote.ask("start", list(args), env)

    def poll(self) -> int | None:
        """Return the exit code, None while the worker lives."""
        if self.returncode is None:
            self.returncode = self._zygote.ask("poll", self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raise TimeoutExpired where it does not come in time."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(list(self.args), timeout or 0.0)
            time.sleep(0.01)
        return code


def fork_workers() -> None:
    """Have torchrun's agent in this process fork its workers; call it before there are threads."""
    from torch.distributed.elastic.multiprocessing.subprocess_handler import subprocess_handler

    zygote = Zygote()

    def start(args: Sequence[str], env: dict[str, str], **_: Any) -> Worker:
        return Worker(zygote, args, env)

    setattr(subprocess_handler, "Popen", start)  # noqa: B010


def _serve(requests: socket.socket) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while message := requests.recv(_MESSAGE_BYTES):
        number, kind, *rest = pickle.loads(message)
        answer: int | None
        if kind == "start":
            answer = os.fork()
            if answer == 0:
                requests.close()
                _work(*rest)
        else:
            pid, status = os.waitpid(rest[0], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        requests.send(pickle.dumps((number, answer)))
    os._exit(0)


def _work(command: list[str], env: dict[str, str]) -> NoReturn:
    """Be what torchrun starts, as far as that can tell."""
    os.setsid()  # torchrun signals its group
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(env)
    if environment.LAUNCHED in env:
        os.environ[environment.LAUNCHED] = str(os.getppid())  # the zygote, which ends with the launcher
    code = _exit_code(lambda: forked_programs.run(command))
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _exit_code(main: Callable[[], None]) -> int:
    try:
        main()
    except SystemExit as left:
        return int(left.code or 0)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0
