"""Provenance of results: commit, hash of the code that trains, versions, hardware."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import harness
from harness.results.cpu_quota import quota
from harness.results.record import Versions
from harness.results.repository import commit_of_program

if TYPE_CHECKING:
    import torch

_ROOT = Path(harness.__file__).resolve().parent.parent
# The code that trains, in the package's folder.
SOURCES = (
    "config/*.py",
    "data/**/*.py",
    "training/**/*.py",
    "models/*.py",
    "model_libraries.py",
    "model_registry.py",
    "numerics.py",
    "registry.py",
    "strict.py",
    "results/record.py",
    "results/metrics.py",
    "results/epoch_rule.py",
)


def commit(root: Path = _ROOT) -> str | None:
    """Return the commit that the harness runs from, `-dirty` if its code was changed; None outside git."""
    return commit_of_program(root)


def code_hash(root: Path = _ROOT) -> str:
    """Hash the harness's code that trains: settings, data, models, training, the record's format.

    Files count by their contents, not by their folders and names.
    """
    package = root / "harness"
    sources = [path for pattern in SOURCES for path in package.glob(pattern)]
    digests = sorted(hashlib.sha256(path.read_bytes()).digest() for path in sources)
    return hashlib.sha256(b"".join(digests)).hexdigest()


def versions() -> Versions:
    """Return the versions of the program here, CUDA's only if this process uses it; imports torch."""
    import torch

    return Versions(
        harness=harness.__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        cuda=torch.version.cuda if torch.cuda.is_initialized() else None,  # type: ignore[no-untyped-call]
        commit=commit(),
        harness_code=code_hash(),
    )


def device_name(device: torch.device) -> str:
    """Return the name of the hardware behind a torch device."""
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_name(device)
    return _cpu_name()


def cores() -> int:
    """Return how many cores this process may use: those of its affinity, or fewer if its time is limited.

    A limit is rounded to whole cores, half a core up, and is one core at least.
    """
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = quota()
    return found if limit is None else max(1, min(found, math.floor(limit + 0.5)))


def host() -> str:
    """Return the host name of this machine."""
    return socket.gethostname()


def now() -> str:
    """Return the time in UTC, in ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
