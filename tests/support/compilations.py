"""Compilers that generate no code, which keep what they are given; and trials that are compiled by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from harness.training.compiled import Compiled
from harness.training.engine import Graph
from harness.training.graph_capture import Recorder
from harness.training.step import Step
from tests.support.traced import RepeatingRecorder

Runner = Callable[..., Any]
Backend = Callable[[torch.fx.GraphModule, list[Tensor]], Runner]


class Compilations(list[torch.fx.GraphModule]):
    """A backend that keeps the graphs that it is given, and has another compile them."""

    def __init__(self, backend: str = "eager") -> None:
        super().__init__()
        self.backend: Backend = torch._dynamo.lookup_backend(backend)

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Runner:
        """Compile a graph."""
        self.append(graph)
        return self.backend(graph, inputs)


def compiling(
    backend: Backend, made: list[Compiled], recorder: Recorder | None = None
) -> Callable[..., Compiled]:
    """Return what stands for `engine_for` where every trial is compiled by a backend; list the engines."""

    def engine_for(
        step: Step, _: object, tell: Callable[[str], None], *, full_batch: int, **__: object
    ) -> Compiled:
        graph = Graph(step, recorder or RepeatingRecorder(), tell)
        made.append(Compiled(graph, step, full_batch, tell, backend))
        return made[-1]

    return engine_for
