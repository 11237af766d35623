"""The device of a rank: how it computes, and whether it still does."""

from __future__ import annotations

import torch


def compute_exactly() -> None:
    """Have a GPU give the same bits each time, and fp32 mean fp32; torch warns where it has no such way."""
    # The same as use_deterministic_algorithms(True, warn_only=True), which also loads torch's compiler.
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
    """Note that a capture broke: torch's allocator and random state may stay as if it went on."""
    _Process.is_spoiled = True


def is_spoiled() -> bool:
    """Tell whether no further trial is to begin in this process."""
    return _Process.is_spoiled
