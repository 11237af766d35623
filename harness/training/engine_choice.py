"""Choice of the engine that executes a trial's steps."""

from __future__ import annotations

from collections.abc import Callable

import torch

from harness.results.record import EngineName
from harness.training.compiled import Compiled
from harness.training.engine import Eager, Engine, Graph
from harness.training.graph_capture import CudaRecorder
from harness.training.step import Step


def engine_for(
    step: Step,
    requested: EngineName | None,
    tell: Callable[[str], None],
    *,
    full_batch: int,
    has_unused: bool = False,
    is_own_optimizer: bool = False,
    may_draw: bool = False,
) -> Engine:
    """Return the requested engine; by default graphs on a GPU.

    If parameters are unused, DDP waits for the device to learn which, and cannot be captured. Batches of
    `full_batch` samples may be compiled, but no model that draws random numbers of its own: compiled, it
    would draw others.
    """
    is_shared = step.shard.world.world_size > 1
    if (requested or default_engine(step.shard.world.device)) == "eager":
        return Eager(step)
    if is_own_optimizer:
        tell("engine: eager, because an optimizer of your own may count its steps on the host")
        return Eager(step)
    if has_unused and is_shared:
        tell("engine: eager, because DDP cannot be captured where parameters get no gradient")
        return Eager(step)
    graph = Graph(step, CudaRecorder(), tell)
    if requested != "compiled":
        return graph
    if is_shared or may_draw:
        which = "trained by one rank" if is_shared else "without allow_rank_dependent"
        tell(f"engine: graph, because only a trial {which} is compiled")
        return graph
    return Compiled(graph, step, full_batch, tell)


def default_engine(device: torch.device) -> EngineName:
    """Return the engine that is used if none is requested."""
    return "graph" if device.type == "cuda" else "eager"
