"""Losses: their settings, in one registry; `training/losses.py` has their functions.

To add a loss, add a class to LOSSES and a function to FUNCTIONS there: schema, suite reference and the tests
of ranks, resumed trials and engines go through LOSSES.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag

from harness.plugins import is_callable_path
from harness.strict import Positive, Strict, added_later, name_of

_OWN = "package.module:callable"


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

    model_config = ConfigDict(model_title_generator=name_of)

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


class OwnLoss(LossSettings):
    """A loss of your own; other keys are keyword arguments of the callable."""

    model_config = ConfigDict(extra="allow", title="your own loss")

    name: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")] = Field(
        description="Callable that returns the losses (N,) of logits (N, classes) and labels (N,), as "
        "`package.module:callable`."
    )

    @property
    def settings(self) -> dict[str, Any]:
        """Return the keyword arguments of the callable."""
        return dict(self.__pydantic_extra__ or {})


LOSSES: tuple[type[LossSettings], ...] = (CrossEntropy, Binary)


def _tag(value: Any) -> str:
    name = value.get("name") if isinstance(value, Mapping) else getattr(value, "name", None)
    if name is None:
        return "cross_entropy"
    return _OWN if is_callable_path(str(name)) else str(name)


if TYPE_CHECKING:
    Loss = LossSettings
else:
    Loss = Annotated[
        Union[
            *(Annotated[each, Tag(name_of(each))] for each in LOSSES),
            Annotated[OwnLoss, Tag(_OWN)],
        ],
        Discriminator(_tag),
    ]
