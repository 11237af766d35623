"""Settings of a trial: dataset, model and training, checked without torch."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, create_model, model_validator

from harness import model_registry

PrecisionName = Literal["fp32", "fp64", "tf32", "bf16"]
DatasetName = Literal["fashion_mnist", "kmnist", "kmnist_sample", "mnist"]

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=10**9)]


class Strict(BaseModel):
    """Base of the frozen models that refuse unknown keys, other types, NaN and infinity."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class DatasetSettings(Strict):
    """Name the dataset and the side in pixels that its images are resized to."""

    name: DatasetName
    resize: Annotated[int, Field(ge=1, le=1024)] | None = None


class SGD(Strict):
    """torch.optim.SGD."""

    name: Literal["SGD"]
    lr: Positive
    momentum: NotNegative = 0.0
    dampening: NotNegative = 0.0
    weight_decay: NotNegative = 0.0
    nesterov: bool = False

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ValueError("nesterov, expected with momentum above 0 and dampening 0")
        return self


class _AdamLike(Strict):
    lr: Positive
    betas: Annotated[list[BelowOne], Field(min_length=2, max_length=2)] = [0.9, 0.999]
    eps: NotNegative = 1e-8


class Adam(_AdamLike):
    """torch.optim.Adam: weight decay is coupled (L2)."""

    name: Literal["Adam"]
    weight_decay: NotNegative = 0.0
    amsgrad: bool = False


class AdamW(_AdamLike):
    """torch.optim.AdamW: weight decay is decoupled."""

    name: Literal["AdamW"]
    weight_decay: NotNegative = 0.01
    amsgrad: bool = False


class NAdam(_AdamLike):
    """torch.optim.NAdam."""

    name: Literal["NAdam"]
    weight_decay: NotNegative = 0.0
    momentum_decay: NotNegative = 0.004
    decoupled_weight_decay: bool = False


class RAdam(_AdamLike):
    """torch.optim.RAdam."""

    name: Literal["RAdam"]
    weight_decay: NotNegative = 0.0
    decoupled_weight_decay: bool = False


class RMSprop(Strict):
    """torch.optim.RMSprop."""

    name: Literal["RMSprop"]
    lr: Positive
    alpha: BelowOne = 0.99
    eps: NotNegative = 1e-8
    weight_decay: NotNegative = 0.0
    momentum: NotNegative = 0.0
    centered: bool = False


class Adagrad(Strict):
    """torch.optim.Adagrad."""

    name: Literal["Adagrad"]
    lr: Positive
    lr_decay: NotNegative = 0.0
    weight_decay: NotNegative = 0.0
    initial_accumulator_value: NotNegative = 0.0
    eps: NotNegative = 1e-10


class StepLR(Strict):
    """torch.optim.lr_scheduler.StepLR; `step_size` is in epochs."""

    name: Literal["StepLR"]
    step_size: Count
    gamma: Positive = 0.1


class MultiStepLR(Strict):
    """torch.optim.lr_scheduler.MultiStepLR; `milestones` are epochs."""

    name: Literal["MultiStepLR"]
    milestones: Annotated[list[Count], Field(min_length=1)]
    gamma: Positive = 0.1


class ExponentialLR(Strict):
    """torch.optim.lr_scheduler.ExponentialLR."""

    name: Literal["ExponentialLR"]
    gamma: Positive


class CosineAnnealingLR(Strict):
    """torch.optim.lr_scheduler.CosineAnnealingLR; `T_max` is in epochs."""

    name: Literal["CosineAnnealingLR"]
    T_max: Count
    eta_min: NotNegative = 0.0


class LinearLR(Strict):
    """torch.optim.lr_scheduler.LinearLR; `total_iters` is in epochs."""

    name: Literal["LinearLR"]
    start_factor: Annotated[float, Field(gt=0, le=1)] = 1 / 3
    end_factor: Annotated[float, Field(ge=0, le=1)] = 1.0
    total_iters: Count = 5


class PolynomialLR(Strict):
    """torch.optim.lr_scheduler.PolynomialLR; `total_iters` is in epochs."""

    name: Literal["PolynomialLR"]
    total_iters: Count = 5
    power: NotNegative = 1.0


class CrossEntropy(Strict):
    """torch.nn.functional.cross_entropy, averaged over the batch."""

    name: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: Annotated[float, Field(ge=0, le=1)] = 0.0


Optimizer = Annotated[SGD | Adam | AdamW | NAdam | RAdam | RMSprop | Adagrad, Discriminator("name")]
Scheduler = Annotated[
    StepLR | MultiStepLR | ExponentialLR | CosineAnnealingLR | LinearLR | PolynomialLR, Discriminator("name")
]


class Training(Strict):
    """Training settings; `batch_size` is the global batch, the scheduler steps once an epoch."""

    epochs: Count
    batch_size: Count
    precision: PrecisionName = "fp32"
    optimizer: Optimizer
    scheduler: Scheduler | None = None
    loss: CrossEntropy = CrossEntropy()
    allow_rank_dependent: bool = False


class Settings(Strict):
    """Everything except the seed that decides what a trial computes."""

    dataset: DatasetSettings
    model: dict[str, Any]
    training: Training


_TYPES: dict[str, Any] = {"integer": int, "number": float}
_BOUNDS = {"minimum": "ge", "maximum": "le", "exclusiveMinimum": "gt", "exclusiveMaximum": "lt"}


@cache
def model_settings(name: str) -> type[Strict]:
    """Return the pydantic class of a shipped model's declared settings."""
    fields: dict[str, Any] = {"name": (Literal[name], ...)}
    for key, fragment in model_registry.declared_settings(name).items():
        fields[key] = (_annotation(fragment), ...)
    return create_model(name, __base__=Strict, **fields)


def _annotation(fragment: model_registry.Fragment) -> Any:
    if fragment["type"] == "array":
        return Annotated[list[_annotation(fragment["items"])], Field(min_length=fragment.get("minItems", 0))]  # type: ignore[misc]
    bounds = {own: fragment[key] for key, own in _BOUNDS.items() if key in fragment}
    if fragment["type"] == "integer":
        bounds = {"le": 10**9, **bounds}
    return Annotated[_TYPES[fragment["type"]], Field(**bounds)]
