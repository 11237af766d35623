"""Ranks forked from the launcher, which has loaded torch already: an import saved for each.

A fork has none of its parent's threads, and OpenMP, with which torch computes, would wait for ever for those
that it had started. So a launcher with more threads than at its beginning, OpenMP's or the user's, starts its
ranks anew. Threads of torchrun's agent begin later; they hold nothing that a rank uses.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import math
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn

import numpy as np
import torch

from harness import program
from harness.results.user_code_hash import UserCodes
from harness.runner.launch.worker_process import threads_of

_POLL_SECONDS = 0.01
_READ_AT_IMPORT = frozenset({"OMP_WAIT_POLICY", "CUDA_VISIBLE_DEVICES"})


class Inherited:
    """What a forked rank has from its launcher: user code as it was before that imported it."""

    codes: UserCodes | None = None


class ForkedRank:
    """What torchrun's agent uses of subprocess.Popen, for a rank that is a fork of this process."""

    def __init__(self, codes: UserCodes, args: Sequence[str], env: Mapping[str, str], **_: Any) -> None:
        self.args = list(args)
        self._code: int | None = None
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        # The launcher's handlers must not run in the rank.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                self.pid = os.fork()  # from Python 3.12 on it warns of the threads of torchrun's agent
            if self.pid == 0:
                _be(codes, self.args, env, before)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def poll(self) -> int | None:
        """Return its exit code, or a signal's number below zero; None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raise TimeoutExpired if that takes longer."""
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            time.sleep(_POLL_SECONDS)
        return code


class Forks:
    """Start of ranks as forks of this process, where that is safe; made before user code is imported."""

    def __init__(self, codes: UserCodes) -> None:
        """Take the user's code to be `codes` in every rank."""
        self._codes, self._threads = codes, _threads()

    def are_safe(self, settings: Mapping[str, str]) -> bool:
        """Tell whether ranks that need these environment variables may be forks, as things are now."""
        is_alone = threading.active_count() == 1 and 0 < _threads() <= self._threads
        return is_alone and _READ_AT_IMPORT.isdisjoint(settings)

    @contextlib.contextmanager
    def instead_of_starts(self) -> Iterator[None]:
        """Have torchrun's agent in this process fork its ranks."""
        from torch.distributed.elastic.multiprocessing.subprocess_handler import subprocess_handler

        start = vars(subprocess_handler)["Popen"]
        setattr(subprocess_handler, "Popen", partial(ForkedRank, self._codes))  # noqa: B010
        try:
            yield
        finally:
            setattr(subprocess_handler, "Popen", start)  # noqa: B010


def _threads() -> int:
    """Return how many threads this process has, those outside of Python too; 0 if that is unknown."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 0


def _be(codes: UserCodes, command: list[str], env: Mapping[str, str], mask: set[Any]) -> NoReturn:
    """Be the process that torchrun starts by this command; it has no handlers before it unblocks signals."""
    code = 1
    try:
        os.setsid()  # torchrun signals its group
        _reset_signals()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        code = _exit_code(codes, command, env)
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        os._exit(code)


def _forget_launcher(codes: UserCodes, command: list[str], env: Mapping[str, str]) -> None:
    Inherited.codes = codes
    for each in [*weakref.finalize._registry]:  # type: ignore[attr-defined]
        each.atexit = False  # it would remove the launcher's temporary folders
    logging.disable(logging.NOTSET)
    os.environ.clear()
    os.environ.update(env)
    np.random.seed()
    if threads := threads_of(env):
        torch.set_num_threads(threads)
    sys.orig_argv, sys.argv = command, command[2:]


def _exit_code(codes: UserCodes, command: list[str], env: Mapping[str, str]) -> int:
    """Run the program; return its exit code."""
    try:
        _forget_launcher(codes, command, env)
        program.run()
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def _reset_signals() -> None:
    """Give up handlers, as a new process has none; what is ignored stays so."""
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
