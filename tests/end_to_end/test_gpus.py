"""Runs on machines whose GPUs are counted and cannot be used: on the CPU, or ended with the reason."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support import ROOT, forks
from tests.support.no_gpu import NONE, OLD
from tests.support.runs import HARNESS, TORCHRUN

BARE = [*TORCHRUN, "--standalone", "--nproc_per_node=2", *HARNESS[1:]]


@pytest.fixture
def _counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have torch count two GPUs in every process that is started; CUDA can use neither."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'tests/support/gpu_hook'}{os.pathsep}{ROOT}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "98,99")


def run(starter: Sequence[str], *options: str) -> tuple[int | None, str]:
    """Run one short trial to its end; return the exit code and what was printed."""
    short = ["--only", "mlp", "--seeds", "1", "--no-calibrate", "--set", "training.epochs=1"]
    return forks.finished([*starter, str(ROOT / "suites/quickstart.yaml"), *short, *options], seconds=300)


@pytest.mark.usefixtures("_counted")
def test_a_run_is_on_the_cpu_where_cuda_can_use_no_gpu_and_says_why_in_a_line() -> None:
    code, output = run(HARNESS)
    assert code == 0, output
    assert len(re.findall(rf"(?m)^no GPU is used, this runs on the CPU: .*{NONE}", output)) == 1
    assert len(re.findall(NONE, output)) == 1
    assert "Traceback" not in output
    assert ": done, test" in output


@pytest.mark.usefixtures("_counted")
@pytest.mark.parametrize(("starter", "options"), [(HARNESS, []), (BARE, []), (BARE, ["--device", "cpu"])])
def test_what_torch_warns_of_in_each_process_is_said_once_or_not_at_all(
    starter: list[str], options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLD_DRIVER", OLD)
    code, output = run(starter, *options)
    assert code == 0, output
    assert output.count(OLD) == (0 if options else 1)
    assert len(re.findall("(?m)^no GPU is used, this runs on the CPU: ", output)) == (0 if options else 1)
    assert "UserWarning" not in output
    assert "Traceback" not in output
    assert ": done, test" in output


@pytest.mark.usefixtures("_counted")
def test_a_variable_that_names_no_gpu_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    code, output = run(HARNESS)
    assert code == 0, output
    assert output.count("CUDA_VISIBLE_DEVICES is '98,99', of which torch can see none") == 1


@pytest.mark.usefixtures("_counted")
def test_a_run_on_gpus_ends_with_the_reason_where_cuda_can_use_none() -> None:
    code, output = run(HARNESS, "--device", "cuda")
    assert code == 2
    assert re.match(rf"error: --device cuda: found no GPU that torch can use: GPU 0: {NONE}", output)
    assert output.count("\n") == 1


@pytest.mark.usefixtures("_counted")
def test_under_torchrun_it_ends_with_the_reason_once() -> None:
    code, output = run(BARE, "--device", "cuda")
    assert code == 1
    ours, _, torchruns = output.partition("\n")
    assert re.match(rf"error: --device cuda: found no GPU that torch can use: {NONE}", ours)
    assert "ChildFailedError" in torchruns
    assert "error: --device" not in torchruns
    assert "harness/" not in torchruns  # no traceback of ours
