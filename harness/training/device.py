"""Device of a rank: deterministic and exact computation, and checks that it still works."""

from __future__ import annotations

import resource

import torch


def compute_exactly() -> None:
    """Make GPUs deterministic and fp32 strict (no TF32); torch warns if it has no deterministic kernel."""
    # The same as use_deterministic_algorithms(True, warn_only=True), which also imports torch's compiler.
    torch.set_deterministic_debug_mode("warn")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def still_works(device: torch.device) -> bool:
    """Tell whether the device can be used; after some errors a process cannot use its GPU any more."""
    if device.type != "cuda":
        return True
    try:
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        return torch.ones(1, device=device).item() == 1
    except RuntimeError:
        return False


class _Process:
    is_spoiled = False


def spoil() -> None:
    """Note that a graph capture failed: torch's allocator and random state may stay in capture mode."""
    _Process.is_spoiled = True


def is_spoiled() -> bool:
    """Tell whether this process must not start another trial."""
    return _Process.is_spoiled


def reset_peak_memory(device: torch.device) -> None:
    """Reset a GPU's peak-memory statistics."""
    if device.type == "cuda":
        torch.cuda.empty_cache()  # frees what earlier trials have left
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory_gib(device: torch.device) -> float:
    """Return the process's peak memory in GiB: on a GPU all that torch reserved, graph pools included."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
