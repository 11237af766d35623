"""CUDA graphs as a CPU can have them: operations on fixed memory, replayed without their Python."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from harness.training.step import Step


def tracing(step: Step) -> Callable[[Callable[[], Tensor]], tuple[Callable[[], None], Tensor]]:
    """Return what captures as `capture_on_cuda` does; tracing executes, so the state is put back after."""

    def capture(function: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        state = _state(step)
        before = [each.clone() for each in state]
        left = torch.empty(())

        def recorded() -> Tensor:
            return left.copy_(function())

        try:
            with torch.enable_grad():
                graph = make_fx(recorded)()
        finally:
            for each, value in zip(state, before, strict=True):
                each.data.copy_(value)

        @torch.no_grad()
        def replay() -> None:
            graph()

        return replay, left

    return capture


def _state(step: Step) -> list[Tensor]:
    held = [
        value
        for each in step.optimizer.state.values()
        for value in each.values()
        if isinstance(value, Tensor)
    ]
    model = step.model
    return [*model.parameters(), *model.buffers(), *held, step.totals.sums, step.cut.step]
