"""Engine of compiled steps: torch compiles a model's passes over full batches, then steps are captured."""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.results.record import EngineName
from harness.training.batch_shard import BatchShard, TracedShard
from harness.training.dataloader import Share
from harness.training.engine import Engine, cause_of
from harness.training.step import Step

Backend = str | Callable[..., Any]

_INDUCTOR = "inductor"  # torch's own compiler
_STANCE: Final = "fail_on_recompile"

_Rows = tuple[int, int]  # the first, and how many


class CompiledForward:
    """A model's forward, compiled once for each number of rows that it has been prepared for."""

    def __init__(self, model: nn.Module, shard: BatchShard, backend: Backend) -> None:
        _load_compiler()
        self._shard, self._traced = shard, TracedShard(shard.world, shard.seed)
        self._hashed: dict[_Rows, list[Tensor]] = {}
        self._forward = torch.compile(_forward_of(model), fullgraph=True, dynamic=False, backend=backend)

    def is_prepared(self, part: Share) -> bool:
        """Tell whether the forward can pass such a part of a batch."""
        return (part.first_row, len(part.chosen)) in self._hashed

    def prepare(self) -> None:
        """Take over the hashed positions that the plain model has just asked for."""
        self._hashed[self._shard.first_row, self._shard.rows] = list(self._shard.used)

    def __call__(self, images: Tensor) -> Tensor:
        """Return the logits of the shard's images."""
        hashed = self._hashed[self._shard.first_row, self._shard.rows]
        with self._traced.standing_in(self._shard, hashed):
            logits: Tensor = self._forward(images)
        return logits


class Compiled:
    """Executes steps by another engine, with the model's passes over full batches compiled.

    They are compiled before the first step, by passes that change nothing. Smaller batches, of which an epoch
    has one, pass the model as it is. So a step is the same in a trial that was interrupted, or whose steps
    cannot be captured. If the model cannot be compiled, the other engine goes on alone, and `tell` gets the
    reason.
    """

    def __init__(
        self,
        engine: Engine,
        step: Step,
        full_batch: int,
        tell: Callable[[str], None],
        backend: Backend = _INDUCTOR,
    ) -> None:
        self.engine, self.step, self.full_batch, self.tell = engine, step, full_batch, tell
        self._forward: CompiledForward | None = CompiledForward(step.model, step.shard, backend)

    @property
    def name(self) -> EngineName:
        """Return how steps are executed now."""
        return "compiled" if self._forward else self.engine.name

    @property
    def has_broken(self) -> bool:
        """Tell whether a capture has failed."""
        return self.engine.has_broken

    def train(self, share: Share) -> Tensor:
        """Take one optimizer step; return this rank's summed loss."""
        is_compiled = share.size == self.full_batch and self._compile(share)
        self.step.train_forward = self._forward if self._forward and is_compiled else self.step.model
        return self.engine.train(share)

    def evaluate(self, share: Share, part: str = "test") -> Tensor:
        """Evaluate one batch of a part of the data; return this rank's summed loss."""
        return self.engine.evaluate(share, part)

    def close(self) -> None:
        """Release what it holds on the device."""
        self.engine.close()

    def _compile(self, share: Share) -> bool:
        """Compile the passes over such a batch, unless that is done; return whether that succeeded."""
        for part in self.step.parts(share):
            if self._forward and not self._forward.is_prepared(part):
                self._compile_part(self._forward, part)
        return self._forward is not None

    def _compile_part(self, forward: CompiledForward, part: Share) -> None:
        """Compile the passes over such a part; fall back if that fails or would be needed at every step."""
        self.step.train_forward = self.step.model
        self.step.rehearse(part)
        forward.prepare()
        self.step.train_forward = forward
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the model's own were shown in its plain pass
                self.step.rehearse(part)
                with torch.compiler.set_stance(_STANCE):
                    self.step.rehearse(part)
        except torch.OutOfMemoryError:
            raise  # there may be room with fewer trials
        except Exception as error:  # of torch's compilers; the model itself has passed before
            self._forward = None
            cause = cause_of(error)
            reason = "each step would be compiled anew" if _STANCE in cause else cause
            self.tell(f"engine: graph, because this trial cannot be compiled: {reason}")


def _forward_of(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return a function that calls the model, with code of its own: torch keeps what it compiled by code.

    The code of all models in one would be limited in number, and models that differ in their hooks mixed up.
    """

    def forward(images: Tensor) -> Tensor:
        logits: Tensor = model(images)
        return logits

    code = forward.__code__.replace(co_name="compiled_forward")
    return types.FunctionType(code, forward.__globals__, closure=forward.__closure__)


def _load_compiler() -> None:
    """Load torch's compiler outside of a pass: it lists torch's functions, and a pass replaces some."""
    torch.compile(functional.relu, backend="eager")(torch.zeros(1))
