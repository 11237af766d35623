"""Registry of learning rate schedules: torch's own without feedback, and plain functions.

To add one, add a class and its line in SCHEDULERS: the schema, the suite reference and the tests of every
schedule (resume at any step, ranks, capture) go through it. A position is counted in epochs or in steps.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from harness.config.optimizers import OfTorch
from harness.registry import OwnCallable, one_of
from harness.strict import BelowOne, Count, NotNegative, Positive, Strict, added_later

Share = Annotated[float, Field(ge=0, le=1)]


class Scheduler(Strict):
    """Base of the schedules: a rate for each epoch or step, behind a linear warm-up."""

    name: str
    per: Literal["epoch", "step"] = added_later(
        "epoch",
        description="What the schedule and its keys count: the rate changes after each epoch or each step.",
    )
    warmup_epochs: NotNegative = added_later(
        0.0,
        description="Number of epochs in which the rate rises linearly to `lr`, before the schedule begins.",
    )


class Function(Scheduler):
    """Base of the schedules that are plain functions."""

    def factor(self, done: float) -> float:
        """Return the factor on `lr` where `done`, from 0 to 1, of the training behind the warm-up is done."""
        raise NotImplementedError


class Constant(Function):
    """Keep the learning rate; with a warm-up before it."""

    name: Literal["constant"] = Field(description="Name of the schedule.")

    def factor(self, done: float) -> float:
        """Return 1."""
        return 1.0


class Cosine(Function):
    """Decrease the learning rate along half a cosine, over all of the training."""

    name: Literal["cosine"] = Field(description="Name of the schedule.")
    final: Share = Field(default=0.0, description="Factor on `lr` at the end of the training.")

    def factor(self, done: float) -> float:
        """Return the factor on `lr`."""
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * done)) / 2


class Trapezoid(Function):
    """Keep the learning rate, then decrease it linearly: warm-up, stable, decay."""

    name: Literal["trapezoid"] = Field(description="Name of the schedule.")
    decay: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.2, description="Share of the training, the warm-up left out, in which the rate decreases."
    )
    final: Share = Field(default=0.0, description="Factor on `lr` at the end of the training.")

    def factor(self, done: float) -> float:
        """Return the factor on `lr`."""
        return self.final + (1 - self.final) * min(1.0, (1 - done) / self.decay)


class OneCycle(Function):
    """Raise the learning rate linearly to `lr` and decrease it linearly from there (L. Smith, 2018)."""

    name: Literal["one_cycle"] = Field(description="Name of the schedule.")
    peak: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.3, description="Share of the training that is done when the rate is highest."
    )
    initial: Share = Field(default=0.04, description="Factor on `lr` at the beginning.")
    final: Share = Field(default=0.0, description="Factor on `lr` at the end.")

    def factor(self, done: float) -> float:
        """Return the factor on `lr`."""
        if done < self.peak:
            return self.initial + (1 - self.initial) * done / self.peak
        return self.final + (1 - self.final) * (1 - done) / (1 - self.peak)


class OfTorchScheduler(OfTorch, Scheduler):
    """Base of torch's schedulers; `length` is a key that is by default the training's length.

    `highest` is the parameter that takes the optimizer's `lr`, which torch's class does not read there.
    """

    length: ClassVar[str] = ""
    highest: ClassVar[str] = ""
    fixed: ClassVar[dict[str, bool]] = {}


class StepLR(OfTorchScheduler):
    """Multiply the learning rate by `gamma` every `step_size` epochs."""

    name: Literal["StepLR"]
    step_size: Count = Field(examples=[2])
    gamma: Positive = 0.1


class MultiStepLR(OfTorchScheduler):
    """Multiply the learning rate by `gamma` after the epochs in `milestones`."""

    name: Literal["MultiStepLR"]
    milestones: Annotated[list[Count], Field(min_length=1)] = Field(examples=[[1, 3]])
    gamma: Positive = 0.1


class ExponentialLR(OfTorchScheduler):
    """Multiply the learning rate by `gamma` after every epoch."""

    name: Literal["ExponentialLR"]
    gamma: Positive = Field(examples=[0.5])


class CosineAnnealingLR(OfTorchScheduler):
    """Decrease the learning rate from `lr` to `eta_min` along half a cosine."""

    length = "T_max"

    name: Literal["CosineAnnealingLR"]
    T_max: Count | None = None
    eta_min: NotNegative = 0.0


class CosineAnnealingWarmRestarts(OfTorchScheduler):
    """Decrease the learning rate along half a cosine, again and again from `lr`."""

    name: Literal["CosineAnnealingWarmRestarts"]
    T_0: Count = Field(examples=[2])
    T_mult: Count = 1
    eta_min: NotNegative = 0.0


class ConstantLR(OfTorchScheduler):
    """Multiply the learning rate by `factor` in the first `total_iters` epochs."""

    name: Literal["ConstantLR"]
    factor: Share = 1 / 3
    total_iters: Count = 5


class LinearLR(OfTorchScheduler):
    """Change the learning rate linearly from `start_factor` to `end_factor` times `lr`."""

    name: Literal["LinearLR"]
    start_factor: Annotated[float, Field(gt=0, le=1)] = 1 / 3
    end_factor: Share = 1.0
    total_iters: Count = 5


class PolynomialLR(OfTorchScheduler):
    """Decrease the learning rate to zero over `total_iters` epochs by a polynomial."""

    name: Literal["PolynomialLR"]
    total_iters: Count = 5
    power: NotNegative = 1.0


class CyclicLR(OfTorchScheduler):
    """Move the learning rate between `base_lr` and `lr`, again and again; momentum stays."""

    highest = "max_lr"
    fixed: ClassVar[dict[str, bool]] = {"cycle_momentum": False}

    name: Literal["CyclicLR"]
    base_lr: NotNegative = Field(examples=[0.001])
    step_size_up: Count = 2000
    step_size_down: Count | None = None
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular"
    gamma: Positive = 1.0


class OneCycleLR(OfTorchScheduler):
    """Raise the learning rate to `lr` and decrease it far below where it began; momentum stays."""

    length = "total_steps"
    highest = "max_lr"
    fixed: ClassVar[dict[str, bool]] = {"cycle_momentum": False}

    name: Literal["OneCycleLR"]
    total_steps: Count | None = None
    pct_start: BelowOne = 0.3
    anneal_strategy: Literal["cos", "linear"] = "cos"
    div_factor: Positive = 25.0
    final_div_factor: Positive = 1e4
    three_phase: bool = False


SCHEDULERS: tuple[type[Scheduler], ...] = (
    StepLR,
    MultiStepLR,
    ExponentialLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ConstantLR,
    LinearLR,
    PolynomialLR,
    CyclicLR,
    OneCycleLR,
    Constant,
    Cosine,
    Trapezoid,
    OneCycle,
)


class OwnScheduler(OwnCallable, Scheduler):
    """Your own schedule: given the share of the training that is done, it returns the factor on `lr`."""

    model_config = ConfigDict(title="your own schedule", extra="allow")


AnyScheduler = one_of(SCHEDULERS, OwnScheduler)
