"""Provenance of results: commit, hash of the code that trains, versions, hardware."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import socket
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import harness
from harness import model_registry
from harness.config.suite import Trial
from harness.plugins import is_callable_path
from harness.results.cpu_quota import quota
from harness.results.record import Versions

if TYPE_CHECKING:
    import torch

_ROOT = Path(harness.__file__).resolve().parent.parent
# The code that trains, in the package's folder.
SOURCES = (
    "config/*.py",
    "data/*.py",
    "training/*.py",
    "models/*.py",
    "model_registry.py",
    "results/record.py",
)


def commit(root: Path = _ROOT) -> str | None:
    """Return the commit that the harness runs from, `-dirty` if its code was changed; None outside git."""

    def git(*arguments: str) -> str | None:
        try:
            run = subprocess.run(
                ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False, timeout=30
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return run.stdout.strip() if run.returncode == 0 else None

    if not git("ls-files", "harness/__init__.py"):
        return None  # installed elsewhere, perhaps inside somebody else's repository
    revision = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--", "harness", "models")
    return f"{revision}-dirty" if revision and changed else revision


def code_hash(user_modules: Iterable[Path] = (), root: Path = _ROOT) -> str:
    """Hash the contents of the code that trains: settings, data, models, training, the record's format.

    The user's own model modules are among them. A file's folder and name make no difference.
    """
    package = root / "harness"
    sources = [path for pattern in SOURCES for path in package.glob(pattern)]
    digests = sorted(hashlib.sha256(path.read_bytes()).digest() for path in [*sources, *user_modules])
    return hashlib.sha256(b"".join(digests)).hexdigest()


def user_modules(trials: Iterable[Trial]) -> list[Path]:
    """List the files of those of the trials' models that are the user's own."""
    names = sorted({str(trial.settings.model["name"]) for trial in trials})
    paths = (model_registry.source_file(name) for name in names if is_callable_path(name))
    return [path for path in paths if path]


def versions(user_modules: Iterable[Path] = ()) -> Versions:
    """Return the versions of what trains here, CUDA's only if this process uses it; imports torch."""
    import torch

    return Versions(
        harness=harness.__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        cuda=torch.version.cuda if torch.cuda.is_initialized() else None,  # type: ignore[no-untyped-call]
        commit=commit(),
        code=code_hash(user_modules),
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
