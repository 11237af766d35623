"""Registry of optimizers: the settings of those of torch.optim that step without a closure.

To add one, add a class and its line in OPTIMIZERS: the schema, the suite reference and the tests of every
optimizer (torch's own parameters and defaults, resume, ranks, capture) go through it.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from harness.config import torch_parameters
from harness.registry import OwnCallable, one_of
from harness.strict import BelowOne, NotNegative, Positive, Strict, added_later

Two = Field(min_length=2, max_length=2)


class OfTorch(Strict):
    """Base of the settings of a class in torch, whose parameters are described in one place."""

    model_config = ConfigDict(json_schema_extra=torch_parameters.describe)


class Optimizer(OfTorch):
    """Base of the optimizers; `is_fused` and `is_capturable` tell which forms torch has of one.

    Fused means one kernel over all parameters, on CPU and GPU; capturable, steps in a CUDA graph.
    """

    is_fused: ClassVar[bool] = False
    is_capturable: ClassVar[bool] = False

    name: str
    lr: Positive = Field(examples=[0.01])
    no_decay: list[Literal["norm", "bias"]] = added_later(
        [], description="Parameters without weight decay: those of normalization layers, and biases."
    )


class SGD(Optimizer):
    """Stochastic gradient descent, with or without momentum."""

    is_fused = True

    name: Literal["SGD"]
    momentum: NotNegative = 0.0
    dampening: NotNegative = 0.0
    weight_decay: NotNegative = 0.0
    nesterov: bool = False

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ValueError("nesterov, expected with momentum above 0 and dampening 0")
        return self


class _AdamLike(Optimizer):
    is_capturable = True

    betas: Annotated[list[BelowOne], Two] = Field(default=[0.9, 0.999])
    eps: NotNegative = 1e-8


class Adam(_AdamLike):
    """Adam with coupled weight decay (L2)."""

    is_fused = True

    name: Literal["Adam"]
    weight_decay: NotNegative = 0.0
    amsgrad: bool = False


class AdamW(_AdamLike):
    """Adam with decoupled weight decay."""

    is_fused = True

    name: Literal["AdamW"]
    weight_decay: NotNegative = 0.01
    amsgrad: bool = False


class NAdam(_AdamLike):
    """Adam with Nesterov momentum."""

    name: Literal["NAdam"]
    weight_decay: NotNegative = 0.0
    momentum_decay: NotNegative = 0.004
    decoupled_weight_decay: bool = False


class RAdam(_AdamLike):
    """Adam with a rectified adaptive learning rate."""

    name: Literal["RAdam"]
    weight_decay: NotNegative = 0.0
    decoupled_weight_decay: bool = False


class Adamax(_AdamLike):
    """Adam with the infinity norm in place of the second moment."""

    name: Literal["Adamax"]
    weight_decay: NotNegative = 0.0


class RMSprop(Optimizer):
    """Gradient divided by the root of a running average of its squares."""

    is_capturable = True

    name: Literal["RMSprop"]
    alpha: BelowOne = 0.99
    eps: NotNegative = 1e-8
    weight_decay: NotNegative = 0.0
    momentum: NotNegative = 0.0
    centered: bool = False


class Adagrad(Optimizer):
    """Gradient divided by the root of the sum of its squares so far."""

    name: Literal["Adagrad"]
    lr_decay: NotNegative = 0.0
    weight_decay: NotNegative = 0.0
    initial_accumulator_value: NotNegative = 0.0
    eps: NotNegative = 1e-10


class Adadelta(Optimizer):
    """Gradient scaled by running averages of squared updates and of its own squares."""

    is_capturable = True

    name: Literal["Adadelta"]
    rho: Annotated[float, Field(ge=0, le=1)] = 0.9
    eps: NotNegative = 1e-6
    weight_decay: NotNegative = 0.0


class ASGD(Optimizer):
    """Stochastic gradient descent that also averages the weights."""

    is_capturable = True

    name: Literal["ASGD"]
    lambd: NotNegative = 1e-4
    alpha: NotNegative = Field(
        default=0.75,
        description="Exponent of the decay of the learning rate, `lr / (1 + lambd * lr * t)^alpha`.",
    )
    t0: NotNegative = 1e6
    weight_decay: NotNegative = 0.0


class Rprop(Optimizer):
    """Resilient backpropagation: a step size for each weight, changed by the sign of its gradient."""

    is_capturable = True

    name: Literal["Rprop"]
    etas: Annotated[list[Positive], Two] = Field(default=[0.5, 1.2])
    step_sizes: Annotated[list[Positive], Two] = Field(default=[1e-6, 50.0])

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        low, high = self.etas
        if not low < 1 < high:
            raise ValueError(f"etas {self.etas}, expected one below 1 and one above")
        return self


class Adafactor(Optimizer):
    """Adam whose second moment is factored into rows and columns."""

    name: Literal["Adafactor"]
    beta2_decay: Annotated[float, Field(le=0)] = -0.8
    eps: Annotated[list[NotNegative | None], Two] = Field(default=[None, 1e-3])
    d: Annotated[float, Field(ge=1)] = 1.0
    weight_decay: NotNegative = 0.0


class Muon(Optimizer):
    """Momentum made orthogonal by Newton-Schulz steps; all trained parameters must be matrices."""

    name: Literal["Muon"]
    weight_decay: NotNegative = 0.1
    momentum: NotNegative = 0.95
    nesterov: bool = True
    ns_coefficients: Annotated[list[float], Field(min_length=3, max_length=3)] = Field(
        default=[3.4445, -4.775, 2.0315]
    )
    eps: NotNegative = 1e-7
    ns_steps: Annotated[int, Field(ge=1, lt=100)] = 5
    adjust_lr_fn: Literal["original", "match_rms_adamw"] | None = None


OPTIMIZERS: tuple[type[Optimizer], ...] = (
    SGD,
    Adam,
    AdamW,
    NAdam,
    RAdam,
    RMSprop,
    Adagrad,
    Adadelta,
    Adamax,
    ASGD,
    Rprop,
    Adafactor,
    Muon,
)


class OwnOptimizer(OwnCallable):
    """Your own optimizer: called with the parameters, `lr` and its other keys, it returns an Optimizer."""

    model_config = ConfigDict(title="your own optimizer")

    lr: Positive = Field(description="Initial learning rate.", examples=[0.01])


AnyOptimizer = one_of(OPTIMIZERS, OwnOptimizer)
