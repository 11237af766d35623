"""GPUs that are counted and those that work; what a run does with both."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from collections.abc import Sequence

import pytest
import torch

from harness.errors import UsageError
from harness.runner.launch import torchrun
from harness.runner.launch.torchrun import Ranks, ranks_here, worker_environment
from harness.training import gpus
from harness.training.gpus import Gpus

NONE = "(Found no NVIDIA driver|No CUDA GPUs are available)"
OLD = "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040)."


@pytest.mark.e2e
def test_tests_of_the_cpu_see_no_gpu() -> None:
    code = "import os, torch; print(os.environ['CUDA_VISIBLE_DEVICES'], torch.cuda.device_count())"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert seen.strip() == "0"


@pytest.mark.parametrize(
    ("env", "warning", "expected"),
    [
        ({}, "", ""),
        ({"CUDA_VISIBLE_DEVICES": ""}, "", ""),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, "", ""),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, "", ""),
        ({"CUDA_VISIBLE_DEVICES": "7"}, "", "CUDA_VISIBLE_DEVICES is '7', of which torch can see none"),
        ({"CUDA_VISIBLE_DEVICES": "0,0"}, "", "CUDA_VISIBLE_DEVICES is '0,0', of which torch can see none"),
        ({"CUDA_VISIBLE_DEVICES": "-1,0"}, "", ""),
        ({}, f"{OLD}\nPlease update it", OLD),
    ],
)
def test_no_gpu_is_explained_where_somebody_may_have_expected_one(
    env: dict[str, str], warning: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted() -> int:
        if warning:
            warnings.warn(warning, UserWarning, stacklevel=1)
        return 0

    monkeypatch.setattr("torch.cuda.device_count", counted)
    assert gpus.count(env) == (0, expected)
    assert gpus.find(env) == Gpus((), expected)


def test_gpus_that_torch_does_not_see_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr(gpus, "_tried", lambda devices: [""] * len(devices))
    env = {"CUDA_VISIBLE_DEVICES": "0,1,9,3"}
    found = gpus.find(env)
    assert (found.working, found.visible(env)) == ([0, 1], "0,1")
    assert found.why == "CUDA_VISIBLE_DEVICES is '0,1,9,3', of which torch can see 2"
    assert gpus.count({"CUDA_VISIBLE_DEVICES": "0,1,-1,3"}) == (2, "")


@pytest.mark.e2e
def test_each_counted_gpu_is_tried_in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    found = gpus.find({})
    assert found.working == []
    assert re.match(f"GPU 0: {NONE}", found.why)
    assert len(found.faults) == 2
    assert not torch.cuda.is_initialized()  # type: ignore[no-untyped-call]


def test_a_try_that_ends_badly_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr(gpus, "__name__", "no_such_module")
    assert "No module named no_such_module" in gpus.find({}).faults[1]


def test_a_cpu_can_compute() -> None:
    assert gpus.fault_of(torch.device("cpu")) == ""
    assert re.match(NONE, gpus.fault_of(torch.device("cuda")))


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
