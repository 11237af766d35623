"""How steps are executed on a device: operation by operation, or as captured CUDA graphs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from harness.record import EngineName
from harness.training.batches import Share
from harness.training.step import Step

WARM_UP_STEPS = 11  # what torch asks for before a graph of DDP is captured

Work = Callable[[], Tensor]
Key = tuple[str, int, int, int]


class Engine(Protocol):
    """Executes a trial's steps; the losses it returns are those of the step before the next one only."""

    name: EngineName

    def train(self, share: Share) -> Tensor:
        """Take one optimizer step; return this rank's summed loss."""

    def evaluate(self, share: Share) -> Tensor:
        """Evaluate one batch; return this rank's summed loss."""


@dataclass
class Eager:
    """Executes operation by operation."""

    step: Step
    name: EngineName = "eager"

    def train(self, share: Share) -> Tensor:
        """Take one optimizer step; return this rank's summed loss."""
        return self.step.train(share)

    def evaluate(self, share: Share) -> Tensor:
        """Evaluate one batch; return this rank's summed loss."""
        return self.step.evaluate(share)


class Recorder(Protocol):
    """Makes graphs on a device."""

    def rehearse(self, work: Work) -> tuple[Tensor, str | None]:
        """Execute the work; return what it returns, and what in it no graph can do."""

    def record(self, work: Work) -> tuple[Callable[[], None], Tensor]:
        """Record the work and do not execute it; return what executes it, and what it will have returned."""


@dataclass(frozen=True)
class _Recording:
    chosen: Tensor
    replay: Callable[[], None]
    loss: Tensor


class Graph:
    """Executes whole steps as graphs, one for every way that a batch is cut.

    The first steps, and the first of every cut, are executed eagerly: they make what a graph takes as given
    (optimizer state, DDP's buckets). The learning rate is a constant of a graph, which every optimizer can
    take: when it changes, once an epoch at most, all is recorded anew. What cannot be recorded is executed
    eagerly from then on, and `tell` says why.
    """

    def __init__(self, step: Step, recorder: Recorder, tell: Callable[[str], None]) -> None:
        self.step, self.recorder, self.tell = step, recorder, tell
        self.name: EngineName = "graph"
        self._trained = 0
        self._seen: set[Key] = set()
        self._recordings: dict[Key, _Recording] = {}
        self._rates: list[float] = []

    def train(self, share: Share) -> Tensor:
        """Take one optimizer step; return this rank's summed loss."""
        rates = [float(group["lr"]) for group in self.step.optimizer.param_groups]
        if rates != self._rates:
            # Of evaluation too: graphs of one stream share a workspace, which goes with the first of them.
            self._rates, self._recordings = rates, {}
        self._trained += 1
        return self._execute("train", self.step.train, share)

    def evaluate(self, share: Share) -> Tensor:
        """Evaluate one batch; return this rank's summed loss."""
        return self._execute("evaluate", self.step.evaluate, share)

    def _execute(self, kind: str, work: Callable[[Share], Tensor], share: Share) -> Tensor:
        if self.name == "eager":
            return work(share)
        key = (kind, share.first_row, len(share.chosen), share.size)
        if key not in self._recordings:
            if key not in self._seen or self._trained <= WARM_UP_STEPS:
                self._seen.add(key)
                loss, obstacle = self.recorder.rehearse(lambda: work(share))
                if obstacle or (obstacle := _obstacle(self.step.optimizer)):
                    self._fall_back(obstacle)
                return loss
            if not self._record(key, work, share):
                return work(share)
        recording = self._recordings[key]
        recording.chosen.copy_(share.chosen)
        recording.replay()
        return recording.loss

    def _record(self, key: Key, work: Callable[[Share], Tensor], share: Share) -> bool:
        """Record the work on a share that is cut this way; tell whether it is there now."""
        static = Share(share.chosen.clone(), share.first_row, share.size)
        try:
            replay, loss = self.recorder.record(lambda: work(static))
        except RuntimeError as error:
            if self.step.cut.world.world_size > 1:
                raise  # the ranks must agree on what is recorded, and this one may be alone in failing
            self._fall_back(_cause(error))
            return False
        self._recordings[key] = _Recording(static.chosen, replay, loss)
        return True

    def _fall_back(self, obstacle: str) -> None:
        self.name = "eager"
        self._recordings.clear()
        self.tell(f"engine: eager, because this trial cannot be captured: {obstacle}")


class CudaRecorder:
    """Records what is launched on the current stream, which is not the default one."""

    def rehearse(self, work: Work) -> tuple[Tensor, str | None]:
        """Execute the work; return what it returns, and where in it the host waits for the device."""
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
                warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
        return out, obstacle

    def record(self, work: Work) -> tuple[Callable[[], None], Tensor]:
        """Capture the work in a CUDA graph."""
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        # Other threads (NCCL's watchdog) may call CUDA meanwhile.
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            out = work()
        return graph.replay, out


def engine_for(
    step: Step, requested: EngineName | None, tell: Callable[[str], None], *, has_unused: bool = False
) -> Engine:
    """Return the engine that was asked for; by default graphs on a GPU.

    DDP waits for the device to learn which parameters are unused, where some are.
    """
    if (requested or default_engine(step.cut.world.device)) == "eager":
        return Eager(step)
    if has_unused and step.cut.world.world_size > 1:
        tell("engine: eager, because DDP cannot be captured where parameters get no gradient")
        return Eager(step)
    return Graph(step, CudaRecorder(), tell)


def default_engine(device: torch.device) -> EngineName:
    """Return the engine that is taken where none is asked for."""
    return "graph" if device.type == "cuda" else "eager"


def _obstacle(optimizer: torch.optim.Optimizer) -> str | None:
    """Say what an optimizer does that no graph can: it may count its steps on the host."""
    for parameter, state in optimizer.state.items():
        if parameter.is_cuda and "step" in state and not state["step"].is_cuda:
            return f"{type(optimizer).__name__} counts its steps on the host"
    return None


def _cause(error: BaseException) -> str:
    """Return the first line of what went wrong first; ending a broken capture raises over it."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error).strip().partition("\n")[0]
