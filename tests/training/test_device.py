"""What a process knows of its device."""

from __future__ import annotations

import pytest
import torch

from harness.training import device

GPU = torch.device("cuda", 0)


def test_peak_memory_of_a_gpu_counts_what_its_allocator_took(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count pools of graphs: their tensors are free again, and yet nobody else can have the memory."""
    done: list[str] = []
    monkeypatch.setattr("torch.cuda.empty_cache", lambda: done.append("given back"))
    monkeypatch.setattr("torch.cuda.reset_peak_memory_stats", lambda device: done.append("counted anew"))
    monkeypatch.setattr("torch.cuda.max_memory_allocated", lambda device: 2**30)
    monkeypatch.setattr("torch.cuda.max_memory_reserved", lambda device: 3 * 2**30)
    device.reset_peak_memory(GPU)
    assert done == ["given back", "counted anew"]
    assert device.peak_memory_gib(GPU) == 3.0
