"""Contention for this machine's cores: whether a run's threads would have to share them with others."""

from __future__ import annotations

import os
import time
from pathlib import Path

_SAMPLES, _PAUSE_SECONDS = 10, 0.01


def is_expected(threads: int, loads: Path = Path("/proc/loadavg")) -> bool:
    """Tell whether this many more threads would exceed the cores that are free at this moment.

    Averages over minutes would still count a run of ours that has just ended.
    """
    others = 0.0
    for _ in range(_SAMPLES):
        others += _running(loads) / _SAMPLES
        time.sleep(_PAUSE_SECONDS)
    return round(others) + threads > (os.cpu_count() or 1)


def _running(loads: Path) -> int:
    """Return how many threads beside this one run or wait for a core, proc_loadavg(5); 0 if unknown."""
    try:
        return max(0, int(loads.read_text(encoding="utf-8").split()[3].partition("/")[0]) - 1)
    except (OSError, ValueError, IndexError):
        return 0
