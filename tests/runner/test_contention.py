"""Threads that would have to share their cores: they do not spin while they wait for each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.runner.launch import contention
from harness.runner.launch.torchrun import Ranks, worker_environment


@pytest.mark.parametrize(
    ("loads", "threads", "expected"),
    [
        ("0.01 2.00 8.00 1/236 7131", 8, False),  # only this process, after a run that has just ended
        ("0.01 2.00 8.00 1/236 7131", 9, True),
        ("0.01 2.00 8.00 4/236 7131", 5, False),
        ("0.01 2.00 8.00 4/236 7131", 6, True),
        ("nonsense", 8, False),
    ],
)
def test_threads_beside_others(
    loads: str, threads: int, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.setattr(contention, "_PAUSE_SECONDS", 0.0)
    (tmp_path / "loadavg").write_text(loads, encoding="utf-8")
    assert contention.is_expected(threads, tmp_path / "loadavg") == expected
    assert not contention.is_expected(threads=8, loads=tmp_path / "missing")


@pytest.mark.parametrize(
    ("env", "ranks", "is_busy", "expected"),
    [
        ({}, 2, True, "passive"),
        ({}, 2, False, None),
        ({}, 8, True, None),  # one thread a rank waits for no other
        ({"OMP_NUM_THREADS": "4"}, 1, True, "passive"),
        ({"OMP_NUM_THREADS": "1"}, 2, True, None),
        ({"OMP_WAIT_POLICY": "active"}, 2, True, "active"),
        ({"GOMP_SPINCOUNT": "9"}, 2, True, None),
        ({"KMP_BLOCKTIME": "9"}, 2, True, None),
    ],
)
def test_threads_that_share_cores_do_not_spin(
    env: dict[str, str], ranks: int, is_busy: bool, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.results.provenance.cores", lambda: 8)
    monkeypatch.setattr(contention, "is_expected", lambda threads: is_busy)
    assert (env | worker_environment(env, Ranks(ranks, 0))).get("OMP_WAIT_POLICY") == expected
