"""A worker's process, whichever launcher has started it."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from types import SimpleNamespace

import pytest

from harness.runner.launch import worker_process
from tests.support import ROOT

pytestmark = pytest.mark.e2e

_STEPS = """
import resource
import torch
from harness.runner.launch.worker_process import set_up

def page_faults_of_steps():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        kept = [torch.empty(size, dtype=torch.uint8).fill_(1) for size in (4_000_000, 60_000_000)]
        del kept
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.set_num_threads(1)
set_up({"LOCAL_WORLD_SIZE": "1", "OMP_NUM_THREADS": "1"})
page_faults_of_steps()
print(page_faults_of_steps())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs glibc")
def test_the_memory_of_a_step_is_kept_for_the_next() -> None:
    arguments = [sys.executable, "-c", _STEPS]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 64_000_000 // 4096  # the pages of one step of the ten


def test_what_a_user_has_set_of_the_allocator_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []
    libc = SimpleNamespace(mallopt=lambda *setting: told.append(setting))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: libc)
    worker_process._keep_memory({"MALLOC_MMAP_THRESHOLD_": "1"})
    assert told == [(-1, -1)]
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())  # another libc has no such function
    worker_process._keep_memory({})
