"""Capture of work on a GPU as a CUDA graph."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

Work = Callable[[], Tensor]

# Warnings already shown, to show each once: Python clears its own list whenever filters change.
_SHOWN: set[tuple[str, str, int]] = set()


class Recorder(Protocol):
    """Interface that captures graphs on a device."""

    def rehearse(self, work: Work) -> tuple[Tensor, str | None]:
        """Execute the work; return its result, and what in it cannot be captured, or None."""

    def record(self, work: Work) -> tuple[Callable[[], None], Tensor]:
        """Capture the work without executing it; return a function that replays it, and its output tensor."""


class CudaRecorder:
    """Captures what is launched on the current stream, which is not the default one."""

    def rehearse(self, work: Work) -> tuple[Tensor, str | None]:
        """Execute the work; return its result, and where in it the host waits for the device, or None."""
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                out = work()
            finally:
                torch.cuda.set_sync_debug_mode(before)
        obstacle = None
        for each in caught:
            if "called a synchronizing" in str(each.message):
                obstacle = f"the host waits for the device in {each.filename}:{each.lineno}"
            elif "ynchronization debug mode" not in str(each.message):
                _show(each)
        return out, obstacle

    def record(self, work: Work) -> tuple[Callable[[], None], Tensor]:
        """Capture the work in a CUDA graph."""
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        # Other threads (NCCL's watchdog) may call CUDA meanwhile.
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            out = work()
        return graph.replay, out


def _show(warning: warnings.WarningMessage) -> None:
    """Show a warning that was caught, unless it was shown before."""
    known = (str(warning.message), warning.filename, warning.lineno)
    if known not in _SHOWN:
        _SHOWN.add(known)
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
