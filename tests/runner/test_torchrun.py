"""Ranks of this machine: one for each GPU that works, which its workers see; too many are refused."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from harness.errors import UsageError
from harness.runner.launch import torchrun
from harness.runner.launch.torchrun import Ranks, ranks_here, worker_environment
from harness.training.gpus import Gpus


@pytest.mark.parametrize(
    ("faults", "env", "visible"),
    [
        (["", ""], {}, None),
        (["", "broken", ""], {}, "0,2"),
        (["broken", ""], {"CUDA_VISIBLE_DEVICES": "GPU-8a,GPU-9b"}, "GPU-9b"),
        (["broken"], {}, ""),
    ],
)
def test_workers_see_the_gpus_that_work(
    faults: Sequence[str], env: dict[str, str], visible: str | None
) -> None:
    found = Gpus(tuple(faults)).visible(env)
    assert found == visible
    assert worker_environment({}, Ranks(1, 1, found)).get("CUDA_VISIBLE_DEVICES") == visible


@pytest.mark.parametrize(
    ("faults", "reason", "nproc", "expected", "said"),
    [
        (["", ""], "", None, (2, 2), ""),
        (["", "broken"], "", None, (1, 1), "not used: GPU 1: broken\n"),
        (["broken"], "", 3, (3, 0), "no GPU is used, this runs on the CPU: GPU 0: broken\n"),
        ([], "no such card", 3, (3, 0), "no GPU is used, this runs on the CPU: no such card\n"),
        ([], "", 3, (3, 0), ""),
    ],
)
def test_a_rank_is_started_for_each_gpu_that_works(
    faults: Sequence[str],
    reason: str,
    nproc: int | None,
    expected: tuple[int, int],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torchrun, "find", lambda env: Gpus(tuple(faults), reason))
    found = ranks_here(nproc, None, None, {})
    assert (found.count, found.gpus) == expected
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("threads", "trials", "ranks", "threads_a_rank"),
    [
        (None, None, 8, "1"),
        (None, 3, 3, "2"),
        (None, 0, 1, "8"),
        ("1", None, 8, "1"),
        ("2", None, 4, "2"),
        ("4,2", None, 2, "4,2"),
        ("3", 9, 2, "3"),
        ("16", None, 1, "16"),
        ("0", None, 8, "0"),
        ("many", None, 8, "many"),
    ],
)
def test_ranks_and_threads_share_the_cores(
    threads: str | None,
    trials: int | None,
    ranks: int,
    threads_a_rank: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the user has set stays; it says how many ranks there is room for."""
    monkeypatch.setattr("harness.results.provenance.cores", lambda: 8)
    env = {} if threads is None else {"OMP_NUM_THREADS": threads}
    found = ranks_here(None, "cpu", trials, env)
    assert found.count == ranks
    assert ranks_here(9, "cpu", trials, env).count == 9
    assert (env | worker_environment(env, found))["OMP_NUM_THREADS"] == threads_a_rank


@pytest.mark.parametrize(
    ("faults", "device", "nproc", "message"),
    [
        (
            ["broken"],
            "cuda",
            None,
            "--device cuda: found no GPU that torch can use: GPU 0: broken; use --device cpu",
        ),
        (
            ["", "broken"],
            None,
            2,
            r"found 1 GPU for 2 ranks here \(GPU 1: broken\), expected one each; start 1",
        ),
        (["", ""], None, 3, "found 2 GPUs for 3 ranks here, expected one each"),
    ],
)
def test_more_ranks_than_gpus_that_work_are_refused(
    faults: Sequence[str],
    device: str | None,
    nproc: int | None,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torchrun, "find", lambda env: Gpus(tuple(faults)))
    with pytest.raises(UsageError, match=message):
        ranks_here(nproc, device, None, {})


def test_workers_of_one_machine_meet_without_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert worker_environment({}, Ranks(2, 0))["GLOO_SOCKET_IFNAME"] in {"lo", "lo0"}
    assert "GLOO_SOCKET_IFNAME" not in worker_environment({"GLOO_SOCKET_IFNAME": "eth0"}, Ranks(2, 0))
    monkeypatch.setattr("socket.if_nameindex", lambda: [(1, "eth0")])
    assert "GLOO_SOCKET_IFNAME" not in worker_environment({}, Ranks(2, 0))
