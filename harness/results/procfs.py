"""Processes of this machine, read from /proc."""

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
    """Return a process's start time, to tell it from a later one with its PID; empty if it does not run."""
    return "".join(stat(process)[19:20])


def children(process: int) -> list[int]:
    """List the running child processes of a process."""
    numbers = (int(path.name) for path in Path("/proc").glob("[0-9]*"))
    return [number for number in numbers if stat(number)[1:2] == [str(process)]]
