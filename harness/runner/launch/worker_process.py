"""Process of one of torchrun's workers: its signals, paths, threads and memory, set before it trains."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Mapping, MutableMapping
from pathlib import Path

import torch

from harness import environment
from harness.results import provenance
from harness.runner.request import anchored

# By the environment variables that also set them, mallopt(3): the parameter, and the bytes, -1 for no limit.
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": (-3, 2**30), "MALLOC_TRIM_THRESHOLD_": (-1, -1)}


def set_up(env: MutableMapping[str, str]) -> None:
    """Set a worker's process up, however it was started."""
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    env.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    env[environment.FOLDER] = os.getcwd()  # where a restart in place begins
    for name in (environment.JOB_FILES, environment.DATA):
        if path := env.get(name):
            env[name] = str(anchored(Path(path)))
    if "OMP_NUM_THREADS" not in env:  # under torchrun with one rank; torch counts no container's limit
        ours = provenance.cores() // int(env["LOCAL_WORLD_SIZE"])
        torch.set_num_threads(max(1, min(ours, torch.get_num_threads())))
    _keep_memory(env)


def _keep_memory(env: Mapping[str, str]) -> None:
    """Have glibc keep the memory of activations; it would return large blocks to the kernel at every step."""
    with contextlib.suppress(AttributeError):  # another libc
        mallopt = ctypes.CDLL(None).mallopt
        for variable, setting in _MALLOC.items():
            if variable not in env:
                mallopt(*setting)


def threads_of(env: Mapping[str, str]) -> int | None:
    """Return the threads per process that OMP_NUM_THREADS sets, the first number of a list."""
    first = env.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) else None
