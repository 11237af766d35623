"""Engines that execute a trial's steps: eagerly, or as captured CUDA graphs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from harness.results.record import EngineName
from harness.training import device
from harness.training.dataloader import Share
from harness.training.graph_capture import Recorder
from harness.training.step import Step

WARM_UP_STEPS = 11  # what torch requires before a graph of DDP is captured
USES_BEFORE = 3  # a capture costs about as many executions of the same work

Key = tuple[str, int, int, int]


class Engine(Protocol):
    """Executes a trial's steps; a loss that it returns is valid only until the next step."""

    @property
    def name(self) -> EngineName:
        """Return how steps are executed now."""

    @property
    def has_broken(self) -> bool:
        """Tell whether a capture has failed."""

    def train(self, share: Share) -> Tensor:
        """Take one optimizer step; return this rank's summed loss."""

    def evaluate(self, share: Share, part: str = "test") -> Tensor:
        """Evaluate one batch of a part of the data; return this rank's summed loss."""

    def close(self) -> None:
        """Release what it holds on the device."""


class CaptureError(Exception):
    """Reason why a trial's ranks cannot capture it; none of them can go on in its process."""


@dataclass
class Eager:
    """Executes steps eagerly, operation by operation."""

    step: Step
    name: EngineName = "eager"
    has_broken: bool = False

    def train(self, share: Share) -> Tensor:
        """Take one optimizer step; return this rank's summed loss."""
        loss = self.step.train(share)
        self.step.shard.advance()
        return loss

    def evaluate(self, share: Share, part: str = "test") -> Tensor:
        """Evaluate one batch of a part of the data; return this rank's summed loss."""
        return self.step.evaluate(share, part)

    def close(self) -> None:
        """Do nothing: it holds nothing."""


@dataclass(frozen=True)
class _Recording:
    batch: Tensor
    replay: Callable[[], None]
    loss: Tensor


class Graph:
    """Executes whole steps as CUDA graphs, one for each kind of batch shard (first row, rows, batch size).

    The first steps are executed eagerly: they create what a graph takes as given (optimizer state, DDP's
    buckets). So are the first uses of each shard: one that occurs once an epoch may never be worth a capture.
    A learning rate that is a number is a constant of the graphs: when it changes, all are dropped. If a step
    cannot be captured, all ranks execute eagerly from then on, and `tell` gets the reason.
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
        loss = self._execute("train", self.step.train, share)
        self.step.shard.advance()
        return loss

    def evaluate(self, share: Share, part: str = "test") -> Tensor:
        """Evaluate one batch of a part of the data; return this rank's summed loss."""
        return self._execute(part, partial(self.step.evaluate, part=part), share)

    def close(self) -> None:
        """Drop all graphs, those of evaluation too.

        Graphs of one stream share a cuBLAS workspace, which torch frees with the first of them: none may be
        replayed afterwards.
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
        recording.batch.copy_(share.batch)
        recording.replay()
        return recording.loss

    def _rehearse(self, work: Callable[[Share], Tensor], share: Share) -> Tensor:
        """Execute the work; fall back to eager execution if any rank finds that it cannot be captured."""
        loss, obstacle = self.recorder.rehearse(lambda: work(share))
        obstacle = obstacle or _obstacle(self.step.optimizer)
        if self.step.shard.world.any(bool(obstacle)):
            self._fall_back(obstacle)
        return loss

    def _record(self, key: Key, work: Callable[[Share], Tensor], share: Share) -> bool:
        """Capture the work on such a share; return whether that succeeded.

        If any rank of several fails, raise CaptureError on all: DDP waits for the rest of a broken step.
        """
        world = self.step.shard.world
        static = Share.of(share.batch.clone(), share.first_row, len(share.chosen))
        cause: str | None = None  # not the error, whose traceback would keep the trial's memory alive
        try:
            replay, loss = self.recorder.record(lambda: work(static))
            self._recordings[key] = _Recording(static.batch, replay, loss)
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError) and world.world_size == 1:
                raise  # the capture has ended cleanly, and there may be room with fewer trials
            cause = cause_of(error)
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


def _obstacle(optimizer: torch.optim.Optimizer) -> str | None:
    """Return why an optimizer cannot be captured, or None: it may count its steps on the host."""
    for parameter, state in optimizer.state.items():
        if parameter.is_cuda and "step" in state and not getattr(state["step"], "is_cuda", False):
            return f"{type(optimizer).__name__} counts its steps on the host"
    return None


def _cannot_be_captured(obstacle: str | None) -> str:
    return f"engine: eager, because this trial cannot be captured: {obstacle or 'another rank cannot'}"


def cause_of(error: BaseException) -> str:
    """Return the first line of the first error; ending a broken capture raises another on top of it."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error).strip().partition("\n")[0] or type(error).__name__
