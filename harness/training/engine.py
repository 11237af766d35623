"""How steps are executed on a device: operation by operation, or as captured CUDA graphs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from harness.results.record import EngineName
from harness.training import device
from harness.training.dataloader import Share
from harness.training.graph_capture import CudaRecorder, Recorder
from harness.training.step import Step

WARM_UP_STEPS = 11  # what torch asks for before a graph of DDP is captured
USES_BEFORE = 3  # a recording takes about as long as executing the same so often

Key = tuple[str, int, int, int]


class Engine(Protocol):
    """Executes a trial's steps; the losses it returns are those of the step before the next one only."""

    name: EngineName
    has_broken: bool  # a capture

    def train(self, share: Share) -> Tensor:
        """Take one optimizer step; return this rank's summed loss."""

    def evaluate(self, share: Share) -> Tensor:
        """Evaluate one batch; return this rank's summed loss."""

    def close(self) -> None:
        """Give back what it holds on the device."""


class CaptureError(Exception):
    """Says why the ranks of a trial cannot capture it; none of them can go on in its process."""


@dataclass
class Eager:
    """Executes operation by operation."""

    step: Step
    name: EngineName = "eager"
    has_broken: bool = False

    def train(self, share: Share) -> Tensor:
        """Take one optimizer step; return this rank's summed loss."""
        return self.step.train(share)

    def evaluate(self, share: Share) -> Tensor:
        """Evaluate one batch; return this rank's summed loss."""
        return self.step.evaluate(share)

    def close(self) -> None:
        """Hold nothing."""


@dataclass(frozen=True)
class _Recording:
    chosen: Tensor
    replay: Callable[[], None]
    loss: Tensor


class Graph:
    """Executes whole steps as graphs, one for every way that a batch is cut.

    The first steps are executed eagerly: they make what a graph takes as given (optimizer state, DDP's
    buckets). So are the first uses of each cut: one that comes once an epoch may never be worth a recording.
    A learning rate that is a number is a constant of the graphs: when it changes, all are forgotten. What
    cannot be recorded is executed eagerly from then on, by all ranks, and `tell` says why.
    """

    def __init__(self, step: Step, recorder: Recorder, tell: Callable[[str], None]) -> None:
        self.step, self.recorder, self.tell = step, recorder, tell
        self.name: EngineName = "graph"
        self.has_broken = False
        self._trained = 0
        self._uses: Counter[Key] = Counter()
        self._recordings: dict[Key, _Recording] = {}
        self._constants: list[float] = []

    def train(self, share: Share) -> Tensor:
        """Take one optimizer step; return this rank's summed loss."""
        rates = [group["lr"] for group in self.step.optimizer.param_groups]
        constants = [rate for rate in rates if not isinstance(rate, Tensor)]
        if constants != self._constants:
            self._constants = constants
            self.close()
        self._trained += 1
        return self._execute("train", self.step.train, share)

    def evaluate(self, share: Share) -> Tensor:
        """Evaluate one batch; return this rank's summed loss."""
        return self._execute("evaluate", self.step.evaluate, share)

    def close(self) -> None:
        """Forget all recordings, of evaluation too.

        Graphs of one stream share a workspace of cuBLAS, which torch gives back with the first of them: none
        may be replayed after.
        """
        self._recordings.clear()
        self._uses.clear()

    def _execute(self, kind: str, work: Callable[[Share], Tensor], share: Share) -> Tensor:
        if self.name == "eager":
            return work(share)
        key = (kind, share.first_row, len(share.chosen), share.size)
        if key not in self._recordings:
            if device.is_spoiled():
                self._fall_back("a capture of another trial broke in this process")
                return work(share)
            self._uses[key] += 1
            if self._uses[key] <= USES_BEFORE or self._trained <= WARM_UP_STEPS:
                return self._rehearse(work, share)
            if not self._record(key, work, share):
                return work(share)
        recording = self._recordings[key]
        recording.chosen.copy_(share.chosen)
        recording.replay()
        return recording.loss

    def _rehearse(self, work: Callable[[Share], Tensor], share: Share) -> Tensor:
        """Execute the work, and from then on eagerly where any rank finds that no graph can do it."""
        loss, obstacle = self.recorder.rehearse(lambda: work(share))
        obstacle = obstacle or _obstacle(self.step.optimizer)
        if self.step.cut.world.any(bool(obstacle)):
            self._fall_back(obstacle)
        return loss

    def _record(self, key: Key, work: Callable[[Share], Tensor], share: Share) -> bool:
        """Record the work on a share that is cut this way; tell whether it is there now.

        Where any rank of several fails, raise CaptureError on all: DDP waits for the rest of a broken step.
        """
        world = self.step.cut.world
        static = Share(share.chosen.clone(), share.first_row, share.size)
        cause: str | None = None  # and not the error, whose traceback would keep the trial's memory
        try:
            replay, loss = self.recorder.record(lambda: work(static))
            self._recordings[key] = _Recording(static.chosen, replay, loss)
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError) and world.world_size == 1:
                raise  # the capture has ended in order, and there may be room beside fewer trials
            cause = _cause(error)
        if not world.any(cause is not None):
            return True
        self.has_broken = True
        device.spoil()
        if world.world_size > 1:
            raise CaptureError(_cannot_be_captured(cause))
        self._fall_back(cause)
        return False

    def _fall_back(self, obstacle: str | None) -> None:
        self.name = "eager"
        self.close()
        self.tell(_cannot_be_captured(obstacle))


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


def _cannot_be_captured(obstacle: str | None) -> str:
    return f"engine: eager, because this trial cannot be captured: {obstacle or 'another rank cannot'}"


def _cause(error: BaseException) -> str:
    """Return the first line of what went wrong first; ending a broken capture raises over it."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error).strip().partition("\n")[0] or type(error).__name__
