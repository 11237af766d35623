"""Settings of a trial: dataset, model and training, checked without torch."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, create_model

from harness import model_registry
from harness.config.any_dataset import AnyDataset
from harness.config.augmentations import Augmentations
from harness.config.losses import CrossEntropy, Loss
from harness.config.optimizers import AnyOptimizer
from harness.config.schedulers import AnyScheduler
from harness.strict import Count, Strict, added_later

PrecisionName = Literal["fp32", "fp64", "tf32", "bf16"]


class Training(Strict):
    """Training settings."""

    epochs: Count = Field(description="Number of passes over the training set.")
    batch_size: Count = Field(description="Global batch size: images per step on all ranks together.")
    precision: PrecisionName = Field(
        default="fp32",
        description="Floating-point format: `tf32` is float32 with TF32 matrix products on a GPU, `bf16` is "
        "autocast to bfloat16 with weights and metrics in float32.",
    )
    optimizer: AnyOptimizer = Field(description="Optimizer of `torch.optim`, or your own.")
    scheduler: AnyScheduler | None = Field(
        default=None,
        description="Schedule of the learning rate; `null` keeps it constant.",
    )
    augment: Augmentations = added_later(
        [], description="Augmentations of the training images, applied in this order."
    )
    loss: Loss = Field(default=CrossEntropy(), description="Loss that training minimizes.")
    allow_rank_dependent: bool = Field(
        default=False,
        description="Whether to train a model whose results depend on the number of ranks, such as one that "
        "draws its own random numbers; otherwise it is refused.",
    )


class Settings(Strict):
    """Everything except the seed that decides what a trial computes."""

    dataset: AnyDataset
    model: dict[str, Any]
    training: Training


_TYPES: dict[str, Any] = {"integer": int, "number": float}
_BOUNDS = {"minimum": "ge", "maximum": "le", "exclusiveMinimum": "gt", "exclusiveMaximum": "lt"}


@cache
def model_settings(name: str) -> type[Strict]:
    """Return the pydantic class of a shipped model's declared settings."""
    fields: dict[str, Any] = {"name": (Literal[name], Field(description="Name of the shipped model."))}
    for key, fragment in model_registry.declared_settings(name).items():
        default = fragment.get("default", ...)
        fields[key] = (_annotation(fragment), Field(default, description=fragment.get("description")))
    return create_model(name, __base__=Strict, __doc__=model_registry.summary(name), **fields)


def _annotation(fragment: model_registry.Fragment) -> Any:
    if fragment["type"] == "array":
        return Annotated[list[_annotation(fragment["items"])], Field(min_length=fragment.get("minItems", 0))]  # type: ignore[misc]
    bounds = {own: fragment[key] for key, own in _BOUNDS.items() if key in fragment}
    if fragment["type"] == "integer":
        bounds = {"le": 10**9, **bounds}
    return Annotated[_TYPES[fragment["type"]], Field(**bounds)]
