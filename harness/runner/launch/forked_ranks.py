"""Ranks forked from the launcher, which has loaded torch already: an import saved for each.

A fork has none of its parent's threads, and OpenMP, with which torch computes, would wait for them for ever.
So a launcher that has such threads, or others of the user's code, starts its ranks anew.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from harness import program
from harness.results.user_code_hash import UserCodes

_FORK = multiprocessing.get_context("fork")

_READ_AT_IMPORT = frozenset({"OMP_WAIT_POLICY", "CUDA_VISIBLE_DEVICES"})


class Inherited:
    """What a forked rank has from its launcher: user code as it was before that imported it."""

    codes: UserCodes | None = None


class ForkedRank:
    """What torchrun's agent uses of subprocess.Popen, for a rank that is a fork of this process."""

    def __init__(self, codes: UserCodes, args: Sequence[str], env: Mapping[str, str], **_: Any) -> None:
        self.args = list(args)
        self._process = _FORK.Process(target=_work, args=(codes, self.args, dict(env)))
        self._process.start()

    @property
    def pid(self) -> int:
        """Return its process number."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Return its exit code, or a signal's number below zero; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raise TimeoutExpired if that takes longer."""
        self._process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
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


def _work(codes: UserCodes, command: list[str], env: dict[str, str]) -> None:
    """Be the process that torchrun starts by this command."""
    Inherited.codes = codes
    for each in [*weakref.finalize._registry]:  # type: ignore[attr-defined]
        each.atexit = False  # it would remove the launcher's temporary folders
    os.setsid()  # torchrun signals its group
    _reset_signals()
    logging.disable(logging.NOTSET)
    os.environ.clear()
    os.environ.update(env)
    torch.set_num_threads(int(env["OMP_NUM_THREADS"]))
    sys.orig_argv, sys.argv = command, command[2:]
    try:
        program.run()
    except Exception:
        sys.excepthook(*sys.exc_info())
        raise SystemExit(1) from None
    finally:
        atexit._run_exitfuncs()


def _reset_signals() -> None:
    """Give up handlers, as a new process has none; what is ignored stays so."""
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
