"""Process of one of torchrun's workers: what its libraries read when they start."""

from __future__ import annotations

import os
import signal
from collections.abc import MutableMapping
from pathlib import Path

import torch

from harness.results import provenance
from harness.runner.request import anchored


def set_up(env: MutableMapping[str, str]) -> None:
    """Set what a worker's libraries read when they start."""
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    env.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    env["HARNESS_FOLDER"] = os.getcwd()  # where a restart in place begins
    for name in ("HARNESS_JOB_FILES", "HARNESS_DATA"):
        if path := env.get(name):
            env[name] = str(anchored(Path(path)))
    if "OMP_NUM_THREADS" not in env:  # under torchrun with one rank; torch counts no container's limit
        ours = provenance.cores() // int(env["LOCAL_WORLD_SIZE"])
        torch.set_num_threads(max(1, min(ours, torch.get_num_threads())))
