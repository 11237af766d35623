"""Settings of a trial: dataset, model and training, checked without torch."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, create_model, model_validator

from harness import model_registry
from harness.config import torch_parameters
from harness.strict import BelowOne, Count, NotNegative, Positive, Strict

PrecisionName = Literal["fp32", "fp64", "tf32", "bf16"]
DatasetName = Literal["fashion_mnist", "kmnist", "kmnist_sample", "mnist"]


class DatasetSettings(Strict):
    """Dataset of all experiments of a suite."""

    name: DatasetName = Field(
        description="Name of the dataset; `kmnist_sample` is in the package, the others can be downloaded."
    )
    resize: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None,
        description="Side in pixels to which images are resized (square, bilinear); `null` keeps their size.",
    )


def _describe(schema: dict[str, Any]) -> None:
    for name, fragment in schema["properties"].items():
        fragment["description"] = torch_parameters.DESCRIPTIONS[name]


class _OfTorch(Strict):
    model_config = ConfigDict(json_schema_extra=_describe)


class SGD(_OfTorch):
    """Stochastic gradient descent, with or without momentum."""

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


class _AdamLike(_OfTorch):
    lr: Positive
    betas: Annotated[list[BelowOne], Field(min_length=2, max_length=2)] = Field(default=[0.9, 0.999])
    eps: NotNegative = 1e-8


class Adam(_AdamLike):
    """Adam with coupled weight decay (L2)."""

    name: Literal["Adam"]
    weight_decay: NotNegative = 0.0
    amsgrad: bool = False


class AdamW(_AdamLike):
    """Adam with decoupled weight decay."""

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


class RMSprop(_OfTorch):
    """Gradient divided by the root of a running average of its squares."""

    name: Literal["RMSprop"]
    lr: Positive
    alpha: BelowOne = 0.99
    eps: NotNegative = 1e-8
    weight_decay: NotNegative = 0.0
    momentum: NotNegative = 0.0
    centered: bool = False


class Adagrad(_OfTorch):
    """Gradient divided by the root of the sum of its squares so far."""

    name: Literal["Adagrad"]
    lr: Positive
    lr_decay: NotNegative = 0.0
    weight_decay: NotNegative = 0.0
    initial_accumulator_value: NotNegative = 0.0
    eps: NotNegative = 1e-10


class StepLR(_OfTorch):
    """Multiply the learning rate by `gamma` every `step_size` epochs."""

    name: Literal["StepLR"]
    step_size: Count
    gamma: Positive = 0.1


class MultiStepLR(_OfTorch):
    """Multiply the learning rate by `gamma` after the epochs in `milestones`."""

    name: Literal["MultiStepLR"]
    milestones: Annotated[list[Count], Field(min_length=1)]
    gamma: Positive = 0.1


class ExponentialLR(_OfTorch):
    """Multiply the learning rate by `gamma` after every epoch."""

    name: Literal["ExponentialLR"]
    gamma: Positive


class CosineAnnealingLR(_OfTorch):
    """Decrease the learning rate from `lr` to `eta_min` along half a cosine."""

    name: Literal["CosineAnnealingLR"]
    T_max: Count
    eta_min: NotNegative = 0.0


class LinearLR(_OfTorch):
    """Change the learning rate linearly from `start_factor` to `end_factor` times `lr`."""

    name: Literal["LinearLR"]
    start_factor: Annotated[float, Field(gt=0, le=1)] = 1 / 3
    end_factor: Annotated[float, Field(ge=0, le=1)] = 1.0
    total_iters: Count = 5


class PolynomialLR(_OfTorch):
    """Decrease the learning rate to zero over `total_iters` epochs by a polynomial."""

    name: Literal["PolynomialLR"]
    total_iters: Count = 5
    power: NotNegative = 1.0


class CrossEntropy(Strict):
    """Cross-entropy, averaged over the batch: `torch.nn.functional.cross_entropy`."""

    name: Literal["cross_entropy"] = Field(default="cross_entropy", description="Name of the loss.")
    label_smoothing: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="Weight of the uniform distribution in the smoothed targets."
    )


Optimizer = Annotated[SGD | Adam | AdamW | NAdam | RAdam | RMSprop | Adagrad, Discriminator("name")]
Scheduler = Annotated[
    StepLR | MultiStepLR | ExponentialLR | CosineAnnealingLR | LinearLR | PolynomialLR, Discriminator("name")
]


class Training(Strict):
    """Training settings; the scheduler steps once per epoch."""

    epochs: Count = Field(description="Number of passes over the training set.")
    batch_size: Count = Field(description="Global batch size: images per step on all ranks together.")
    precision: PrecisionName = Field(
        default="fp32",
        description="Floating-point format: `tf32` is float32 with TF32 matrix products on a GPU, `bf16` is "
        "autocast to bfloat16 with weights and metrics in float32.",
    )
    optimizer: Optimizer = Field(description="Optimizer of `torch.optim`.")
    scheduler: Scheduler | None = Field(
        default=None,
        description="Scheduler of `torch.optim.lr_scheduler`; `null` keeps the learning rate constant.",
    )
    loss: CrossEntropy = Field(default=CrossEntropy(), description="Loss that training minimizes.")
    allow_rank_dependent: bool = Field(
        default=False,
        description="Whether to train a model whose results depend on the number of ranks, such as one that "
        "draws its own random numbers; otherwise it is refused.",
    )


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
    fields: dict[str, Any] = {"name": (Literal[name], Field(description="Name of the shipped model."))}
    for key, fragment in model_registry.declared_settings(name).items():
        fields[key] = (_annotation(fragment), Field(description=fragment.get("description")))
    return create_model(name, __base__=Strict, __doc__=model_registry.summary(name), **fields)


def _annotation(fragment: model_registry.Fragment) -> Any:
    if fragment["type"] == "array":
        return Annotated[list[_annotation(fragment["items"])], Field(min_length=fragment.get("minItems", 0))]  # type: ignore[misc]
    bounds = {own: fragment[key] for key, own in _BOUNDS.items() if key in fragment}
    if fragment["type"] == "integer":
        bounds = {"le": 10**9, **bounds}
    return Annotated[_TYPES[fragment["type"]], Field(**bounds)]
