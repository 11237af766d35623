"""Losses: their settings, in one registry; `training/losses.py` has their functions.

To add a loss, add a class to LOSSES and a function to FUNCTIONS there: schema, suite reference and the tests
of ranks, resumed trials and engines go through LOSSES.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag

from harness.registry import OwnCallable, one_of, title_of
from harness.strict import Positive, Strict, added_later


def _word_or_list(value: Any) -> Any:
    if value is None or value == "balanced" or isinstance(value, list):
        return value
    raise ValueError(f"{value!r}, expected `balanced` or a list of weights, one for each class")


ClassWeights = Annotated[
    Annotated[Literal["balanced"], Tag("balanced")]
    | Annotated[list[Positive], Field(min_length=2), Tag("list")],
    Discriminator(lambda value: "list" if isinstance(value, list) else "balanced"),
]


class LossSettings(Strict):
    """Settings that all losses share."""

    model_config = ConfigDict(model_title_generator=title_of)

    name: str
    class_weights: Annotated[ClassWeights | None, BeforeValidator(_word_or_list)] = added_later(
        None,
        description="Weight of each class in the mean over the batch: a list, or `balanced`, which weighs a "
        "class by the inverse of its frequency in the training set; `null` weighs all classes alike.",
    )

    def outputs(self, num_classes: int) -> int:
        """Return the number of outputs per sample that the model has to have."""
        return num_classes


class CrossEntropy(LossSettings):
    """Cross-entropy, averaged over the batch: `torch.nn.functional.cross_entropy`."""

    name: Literal["cross_entropy"] = Field(default="cross_entropy", description="Name of the loss.")
    label_smoothing: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="Weight of the uniform distribution in the smoothed targets."
    )


class Binary(LossSettings):
    """Cross-entropy of two classes for a model with one output, the logit of class 1."""

    name: Literal["binary"] = Field(description="Name of the loss.")
    label_smoothing: Annotated[float, Field(ge=0, le=1)] = Field(
        default=0.0, description="Weight of the uniform distribution in the smoothed targets."
    )

    def outputs(self, num_classes: int) -> int:
        """Return 1."""
        return 1


class OwnLoss(OwnCallable, LossSettings):
    """Your own loss: called with logits (N, classes) and labels (N,), it returns the losses (N,)."""

    model_config = ConfigDict(title="your own loss", extra="allow")


LOSSES: tuple[type[LossSettings], ...] = (CrossEntropy, Binary)

if TYPE_CHECKING:
    Loss = LossSettings
else:
    Loss = one_of(LOSSES, OwnLoss, default="cross_entropy")
