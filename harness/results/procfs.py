"""The processes of this machine, as /proc tells of them."""

from __future__ import annotations

from pathlib import Path


def stat(process: int) -> list[str]:
    """Return the fields of a process's stat, proc_pid_stat(5), from its state on; empty once it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []
    return [] if fields[0] in "ZX" else fields


def started(process: int) -> str:
    """Return what tells a process from a later one of its number; empty where it does not run."""
    return "".join(stat(process)[19:20])


def children(process: int) -> list[int]:
    """List the processes that a process has started and that run."""
    numbers = (int(path.name) for path in Path("/proc").glob("[0-9]*"))
    return [number for number in numbers if stat(number)[1:2] == [str(process)]]
