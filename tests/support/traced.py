"""CUDA graphs as a CPU can have them: operations on fixed memory, replayed without their Python."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from unittest.mock import patch

import torch
from torch import Tensor
from torch.fx.experimental import proxy_tensor

from harness.training.graph_capture import Work
from harness.training.step import Step


@dataclass
class TracingRecorder:
    """Records a step by tracing it; that executes it, so the state is put back after."""

    step: Step

    def rehearse(self, work: Work) -> tuple[Tensor, str | None]:
        """Execute the work."""
        return work(), None

    def record(self, work: Work) -> tuple[Callable[[], None], Tensor]:
        """Trace the work."""
        state = _state(self.step)
        before = [each.clone() for each in state]
        left = torch.empty(())

        def recorded() -> Tensor:
            return left.copy_(work())

        try:
            # Describing each result by a fake tensor, which nobody reads, takes most of the time.
            with torch.enable_grad(), patch.object(proxy_tensor, "extract_val", lambda *_, **__: None):
                graph = proxy_tensor.make_fx(recorded)()
        finally:
            for each, value in zip(state, before, strict=True):
                each.data.copy_(value)

        @torch.no_grad()
        def replay() -> None:
            graph()

        return replay, left


class RepeatingRecorder:
    """Records a step as a function that takes it again, with its Python; for what cannot be traced."""

    def rehearse(self, work: Work) -> tuple[Tensor, str | None]:
        """Execute the work."""
        return work(), None

    def record(self, work: Work) -> tuple[Callable[[], None], Tensor]:
        """Return the work, which is not executed now, and the tensor that receives its result."""
        left = torch.empty(())

        def replay() -> None:
            left.copy_(work())

        return replay, left


def _state(step: Step) -> list[Tensor]:
    held = [
        value
        for each in step.optimizer.state.values()
        for value in each.values()
        if isinstance(value, Tensor)
    ]
    model, average = step.model, step.average.tensors if step.average else []
    return [*model.parameters(), *model.buffers(), *held, *average, step.totals.sums, step.shard.step]
