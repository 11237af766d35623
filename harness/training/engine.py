"""How steps are executed on a device: operation by operation, or as captured CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from harness.record import EngineName
from harness.training.batches import Share
from harness.training.step import Step

WARM_UP_STEPS = 11  # what torch asks for before a graph of DDP is captured

Work = Callable[[Share], Tensor]
# Takes what is to be captured, without executing it; returns what executes it, and the tensor it leaves.
Capture = Callable[[Callable[[], Tensor]], tuple[Callable[[], None], Tensor]]


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


@dataclass(frozen=True)
class _Recording:
    chosen: Tensor
    replay: Callable[[], None]
    loss: Tensor


class Graph:
    """Executes whole steps as graphs, one for every way that a batch is cut.

    The first steps, and the first of every cut, are executed eagerly: they make what a graph takes as given
    (optimizer state, DDP's buckets, workspaces). The learning rate is a constant of a graph, which every
    optimizer can take: when it changes, once an epoch at most, the graphs of training are captured anew.
    What cannot be captured is executed eagerly from then on, and `tell` says why.
    """

    def __init__(self, step: Step, capture: Capture, tell: Callable[[str], None]) -> None:
        self.step, self.capture, self.tell = step, capture, tell
        self.name: EngineName = "graph"
        self._seen: dict[tuple[str, int, int, int], int] = {}
        self._recordings: dict[tuple[str, int, int, int], _Recording] = {}
        self._rates: list[float] = []

    def train(self, share: Share) -> Tensor:
        """Take one optimizer step; return this rank's summed loss."""
        rates = [float(group["lr"]) for group in self.step.optimizer.param_groups]
        if rates != self._rates:
            self._rates = rates
            self._recordings = {key: each for key, each in self._recordings.items() if key[0] != "train"}
        return self._execute("train", self.step.train, share)

    def evaluate(self, share: Share) -> Tensor:
        """Evaluate one batch; return this rank's summed loss."""
        return self._execute("evaluate", self.step.evaluate, share)

    def _execute(self, kind: str, work: Work, share: Share) -> Tensor:
        key = (kind, share.first_row, len(share.chosen), share.size)
        if key not in self._recordings and not self._record(key, work, share):
            return work(share)
        recording = self._recordings[key]
        recording.chosen.copy_(share.chosen)
        recording.replay()
        return recording.loss

    def _record(self, key: tuple[str, int, int, int], work: Work, share: Share) -> bool:
        """Capture the work on a share that is cut this way; tell whether it is there now."""
        is_warm = key in self._seen and sum(self._seen.values()) >= WARM_UP_STEPS
        self._seen[key] = self._seen.get(key, 0) + 1
        if self.name == "eager" or not is_warm:
            return False
        static = Share(share.chosen.clone(), share.first_row, share.size)
        try:
            _check_optimizer(self.step.optimizer)
            replay, loss = self.capture(lambda: work(static))
        except RuntimeError as error:
            self.name = "eager"
            self._recordings.clear()
            self.tell(f"engine: eager, because this model cannot be captured: {_first_line(error)}")
            return False
        self._recordings[key] = _Recording(static.chosen, replay, loss)
        return True


def capture_on_cuda(function: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """Capture what the function launches on the current stream, which is not the default one."""
    graph = torch.cuda.CUDAGraph()
    # Other threads (NCCL's watchdog) may call CUDA meanwhile.
    with torch.cuda.graph(graph, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"):
        left = function()
    return graph.replay, left


def engine_for(step: Step, requested: EngineName | None, tell: Callable[[str], None]) -> Engine:
    """Return the engine that was asked for; by default graphs on a GPU."""
    if (requested or default_engine(step.cut.world.device)) == "eager":
        return Eager(step)
    return Graph(step, capture_on_cuda, tell)


def default_engine(device: torch.device) -> EngineName:
    """Return the engine that is taken where none is asked for."""
    return "graph" if device.type == "cuda" else "eager"


def _check_optimizer(optimizer: torch.optim.Optimizer) -> None:
    """Refuse an optimizer that counts its steps on the host, where a graph would not count on."""
    counts = any("step" in state and state["step"].device.type == "cpu" for state in optimizer.state.values())
    if counts and any(each.is_cuda for group in optimizer.param_groups for each in group["params"]):
        raise RuntimeError(f"{type(optimizer).__name__} counts its steps on the host")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
