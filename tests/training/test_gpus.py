"""GPUs that are counted and those that work; what a run does with both."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings

import pytest
import torch

from harness.training import gpus
from harness.training.gpus import Gpus
from tests.support.no_gpu import NONE, OLD


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
