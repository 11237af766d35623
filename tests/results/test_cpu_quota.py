"""Cores that a process may use: a container's limit counts, wherever its control group lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.results import provenance
from harness.results.cpu_quota import quota

V1 = "32 31 0:29 {top} /sys/fs/cgroup/cpu{more} rw shared:9 - cgroup cgroup rw,cpu{more}\n"
V2 = "41 31 0:38 {top} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
OTHER = (
    "31 23 0:28 / / rw - overlay overlay rw\n33 31 0:3 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
)


def machine(root: Path, groups: str, mounts: str, limits: dict[str, str]) -> Path:
    """Lay out what the kernel shows of control groups."""
    for path, text in {"proc/self/cgroup": groups, "proc/self/mountinfo": OTHER + mounts, **limits}.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root


def v1(folder: str, quota_us: int, period_us: int = 100000) -> dict[str, str]:
    return {f"{folder}/cpu.cfs_quota_us": f"{quota_us}\n", f"{folder}/cpu.cfs_period_us": f"{period_us}\n"}


CPU, ONE = "sys/fs/cgroup/cpu", "sys/fs/cgroup"


@pytest.mark.parametrize(
    ("groups", "mounts", "limits", "expected"),
    [
        ("0::/\n", V2.format(top="/"), {f"{ONE}/cpu.max": "150000 100000\n"}, 1.5),  # in a namespace
        ("0::/\n", V2.format(top="/"), {f"{ONE}/cpu.max": "max 100000\n"}, None),
        ("0::/\n", V2.format(top="/"), {}, None),  # the root group has no such file
        ("0::/a/b\n", V2.format(top="/"), {f"{ONE}/a/b/cpu.max": "50000 100000\n"}, 0.5),
        (
            "0::/a/b/c\n",  # the tightest of nested groups
            V2.format(top="/"),
            {f"{ONE}/a/cpu.max": "200000 100000", f"{ONE}/a/b/cpu.max": "300000 50000"},
            2.0,
        ),
        ("0::/../other\n", V2.format(top="/"), {f"{ONE}/cpu.max": "100000 100000\n"}, 1.0),
        ("4:memory:/x\n1:cpu:/\n0::/\n", V1.format(top="/", more=""), v1(CPU, -1), None),
        ("1:cpu:/case\n", V1.format(top="/", more=""), v1(CPU, -1) | v1(f"{CPU}/case", 100000), 1.0),
        (
            "7:cpuset:/x\n2:cpu,cpuacct:/docker/17\n",  # docker without a namespace: the path is the host's
            V1.format(top="/docker/17", more=",cpuacct"),
            v1(f"{CPU},cpuacct", 250000),
            2.5,
        ),
        ("2:cpu:/docker/178\n", V1.format(top="/docker/17", more=""), v1(CPU, 400000), 4.0),
        ("1:cpu:/a b\n", V1.format(top="/", more=""), v1(f"{CPU}/a b", 100000, 50000), 2.0),
        ("1:cpu:/\n0::/\n", V2.format(top="/") + V1.format(top="/", more=""), v1(CPU, 300000), 3.0),
        ("1:cpu:/\n", V1.format(top="/", more=""), {f"{CPU}/cpu.cfs_quota_us": "nonsense"}, None),
        ("", "", {}, None),
    ],
)
def test_the_limit_of_a_group(
    tmp_path: Path, groups: str, mounts: str, limits: dict[str, str], expected: float | None
) -> None:
    assert quota(machine(tmp_path, groups, mounts, limits)) == expected


def test_without_proc_there_is_no_limit(tmp_path: Path) -> None:
    assert quota(tmp_path) is None


@pytest.mark.parametrize(
    ("limit", "cores"), [(None, 8), (0.1, 1), (1.0, 1), (1.4, 1), (1.5, 2), (2.0, 2), (7.9, 8), (64.0, 8)]
)
def test_affinity_and_limit_both_count(
    limit: float | None, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)))
    monkeypatch.setattr(provenance, "quota", lambda: limit)
    assert provenance.cores() == cores
