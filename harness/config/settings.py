"""Settings of a trial: dataset, model and training, checked without torch."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import Field, create_model, model_validator

from harness import model_registry
from harness.config.any_dataset import AnyDataset
from harness.config.augmentations import Augmentations
from harness.config.losses import CrossEntropy, Loss
from harness.config.optimizers import AnyOptimizer
from harness.config.schedulers import AnyScheduler
from harness.strict import Count, Positive, Strict, added_later

PrecisionName = Literal["fp32", "fp64", "tf32", "bf16"]


class Ema(Strict):
    """Exponential moving average of the weights, over all steps."""

    decay: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="Share of the average that a step keeps; the rest is the step's weights.", examples=[0.9]
    )


class Swa(Strict):
    """Mean of the weights at the ends of epochs (P. Izmailov et al., 2018)."""

    start_epoch: Count = Field(description="First epoch at whose end the weights count.", examples=[2])


class EarlyStopping(Strict):
    """End of a trial whose figure on the validation samples no longer gets better."""

    patience: Count = Field(description="Number of epochs in a row that may be no better.", examples=[1])
    by: Literal["validation_loss", "validation_accuracy"] = Field(
        default="validation_loss", description="Figure that has to get better."
    )


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
    clip_grad_norm: Positive | None = added_later(
        None, description="Norm to which the gradient of all parameters is scaled down where it is greater."
    )
    accumulate: Annotated[int, Field(ge=1, le=1000)] = added_later(
        1,
        description="Number of parts in which a batch passes the model before the update, which takes less "
        "memory; norms see one part at a time.",
    )
    ema: Ema | None = added_later(
        None,
        description="Whether an exponential moving average of the weights is evaluated, with the running "
        "statistics of its batch norms estimated again on the training samples.",
    )
    swa: Swa | None = added_later(
        None, description="Whether the mean of the weights of several epochs is evaluated, as under `ema`."
    )
    epoch: Literal["last", "best_on_validation"] = added_later(
        "last",
        description="Epoch whose figures and weights count: the last, or that with the greatest accuracy on "
        "the validation samples, the first of equals.",
    )
    early_stopping: EarlyStopping | None = added_later(
        None, description="Whether a trial ends before its last epoch."
    )
    allow_rank_dependent: bool = Field(
        default=False,
        description="Whether to train a model whose results depend on the number of ranks, such as one that "
        "draws its own random numbers; otherwise it is refused.",
    )

    @model_validator(mode="after")
    def _one_average(self) -> Self:
        if self.ema and self.swa:
            raise ValueError("both `ema` and `swa`, expected one of them")
        if self.swa and self.swa.start_epoch > self.epochs:
            raise ValueError(
                f"swa.start_epoch {self.swa.start_epoch}, expected at most {self.epochs} as `epochs`"
            )
        return self

    @model_validator(mode="after")
    def _warm_up_fits(self) -> Self:
        if self.scheduler is None:
            return self
        warm_up, per = self.scheduler.warmup_epochs, self.scheduler.per
        if warm_up >= self.epochs:
            raise ValueError(
                f"scheduler.warmup_epochs {warm_up:g}, expected less than {self.epochs} as `epochs`"
            )
        if per == "epoch" and warm_up % 1:
            raise ValueError(f"scheduler.warmup_epochs {warm_up:g}, expected whole epochs or `per: step`")
        return self

    @property
    def asks_for_validation(self) -> list[str]:
        """List the keys that need validation samples."""
        asks = {"epoch": self.epoch != "last", "early_stopping": self.early_stopping is not None}
        return [key for key, is_asking in asks.items() if is_asking]


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
