"""CPU time that this process's control groups allow, as a container's limit (cgroup versions 1 and 2)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_ESCAPED = re.compile(r"\\([0-7]{3})")


def quota(root: Path = Path("/")) -> float | None:
    """Return how many CPUs' time this process may use, None without a limit.

    The tightest limit counts, of its own group and of those around it, as far as they can be seen. `root` is
    the folder that holds `proc` and the mount points.
    """
    limits = [limit for folder in _groups(root) if (limit := _limit(folder)) is not None]
    return min(limits, default=None)


def _groups(root: Path) -> Iterator[Path]:
    """Yield the folders of this process's CPU groups, and of all around them, up to the mount points."""
    own = dict(_own_groups(root))
    for version, top, mount_point in _mounts(root):
        if version not in own:
            continue
        # Without a cgroup namespace the path is the host's, and begins with what is mounted here.
        path = Path(own[version])
        inside = path.relative_to(top).parts if path.is_relative_to(top) and ".." not in path.parts else ()
        mounted = root / mount_point.lstrip("/")
        for depth in range(len(inside), -1, -1):
            yield mounted.joinpath(*inside[:depth])


def _own_groups(root: Path) -> Iterator[tuple[int, str]]:
    """Yield version and path of this process's group in the hierarchies that may limit CPUs, cgroups(7)."""
    for line in _lines(root / "proc/self/cgroup"):
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            yield 2, path
        elif "cpu" in controllers.split(","):
            yield 1, path


def _mounts(root: Path) -> Iterator[tuple[int, str, str]]:
    """Yield version, mounted path and mount point of those hierarchies, proc_pid_mountinfo(5)."""
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        fields, (kind, *rest) = before.split(), after.split() or [""]
        top, mount_point = (_ESCAPED.sub(lambda code: chr(int(code[1], 8)), text) for text in fields[3:5])
        if kind == "cgroup2":
            yield 2, top, mount_point
        elif kind == "cgroup" and "cpu" in rest[-1].split(","):
            yield 1, top, mount_point


def _limit(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").exists():
            time, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        else:
            time, period = (
                (folder / f"cpu.cfs_{name}_us").read_text(encoding="utf-8") for name in ("quota", "period")
            )
        return int(time) / int(period) if time != "max" and int(time) > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []
