"""All that the parts know of engines, recorders and rigs, and what stands for them in a rehearsal."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch.profiler import ProfilerActivity, profile

from harness.config.suite import Trial
from harness.results.record import EngineName
from harness.training import device, prepared_trial
from harness.training.dataloader import ResidentDataset
from harness.training.distributed import ProcessGroup
from harness.training.engine import Engine, Graph
from harness.training.graph_capture import CudaRecorder
from harness.training.step import Step
from harness.training.throughput import TimedTrials, grow, release
from tests.support.compilations import Compilations, compiling
from tests.support.traced import TracingRecorder


def trace_graphs() -> None:
    """Have this process trace graphs where CUDA graphs are asked for, and compile to no code."""
    plain: Callable[..., Engine] = vars(prepared_trial)["engine_for"]
    compiled = compiling(Compilations(), [])

    def engine_for(
        step: Step, requested: EngineName | None, tell: Callable[[str], None], **settings: Any
    ) -> Engine:
        if requested == "graph" and step.shard.world.world_size == 1:
            return Graph(step, TracingRecorder(step), tell)
        if requested == "compiled":
            return compiled(step, requested, tell, **settings)
        return plain(step, "eager", tell, **settings)

    setattr(prepared_trial, "engine_for", engine_for)  # noqa: B010


def forget_broken_captures() -> None:
    """Take this process for a new one; a trace that broke has spoiled nothing."""
    setattr(device._Process, "is_spoiled", False)  # noqa: B010


@contextmanager
def counted_recordings() -> Iterator[list[int]]:
    """Give a list that grows by one with every graph that is recorded."""
    kinds = (CudaRecorder, TracingRecorder)
    plain = [kind.record for kind in kinds]
    count: list[int] = []

    def counting(record: Any) -> Any:
        def counted(*arguments: Any) -> Any:
            count.append(1)
            return record(*arguments)

        return counted

    for kind, record in zip(kinds, plain, strict=True):
        setattr(kind, "record", counting(record))  # noqa: B010
    try:
        yield count
    finally:
        for kind, record in zip(kinds, plain, strict=True):
            setattr(kind, "record", record)  # noqa: B010


@dataclass(frozen=True)
class Lanes:
    """Trials at once on one card, that are trained only to be timed."""

    group: TimedTrials

    @property
    def engines(self) -> set[EngineName]:
        """Return the engines that its trials have in the end."""
        return {lane.prepared.engine.name for lane in self.group.members}

    def step_seconds(self, seconds: float, width: int = 1) -> float:
        """Return how long one step of the first trials takes: the median of three times so many seconds."""
        one = self.group.train(3, width) / 3
        steps = max(3, min(2000, int(seconds / one)))
        return statistics.median(self.group.train(steps, width) / steps for _ in range(3))

    def kernels(self) -> list[tuple[str, float, float]]:
        """Return what a step of the first trial launches, the longest first: name, count, microseconds."""
        is_gpu, steps = self.group.world.device.type == "cuda", 4
        with profile(activities=[ProfilerActivity.CUDA if is_gpu else ProfilerActivity.CPU]) as profiled:
            self.group.train(steps)
        rows = [
            (each.key, each.count, each.self_device_time_total if is_gpu else each.self_cpu_time_total)
            for each in profiled.key_averages()
        ]
        return sorted(
            ((key, count / steps, time / steps) for key, count, time in rows if time), key=lambda row: -row[2]
        )


@contextmanager
def lanes(
    trial: Trial, data: ResidentDataset, world: ProcessGroup, engine: EngineName, width: int = 1
) -> Iterator[Lanes]:
    """Give so many trials at once, warmed up; none of their graphs is left after.

    A graph that died later would take the workspace of its stream along, which the next ones use.
    """
    group = TimedTrials(trial, data, world, engine, width)
    grow([group])
    assert len(group.members) == width, f"{len(group.members)} of {width} trials fit"
    yield Lanes(group)
    for lane in group.members:
        lane.prepared.engine.close()
    group.members.clear()
    release(world.device)
