"""Published figures of a suite, single values and curves, as somebody else reported them."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from harness.config.any_dataset import DatasetName
from harness.strict import Count, NotNegative, Strict


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


Fraction = Annotated[float, Field(ge=0, le=1)]
Losses = Annotated[list[NotNegative], BeforeValidator(_as_list, json_schema_input_type=float | list[float])]
Fractions = Annotated[list[Fraction], BeforeValidator(_as_list, json_schema_input_type=float | list[float])]


class Figures(Strict):
    """Published figures of one experiment in its last epoch."""

    train_loss: Losses | None = Field(
        default=None, description="Training loss: the mean of the runs, or one value per run."
    )
    train_accuracy: Fractions | None = Field(
        default=None, description="Training accuracy, a fraction: the mean of the runs, or one value per run."
    )
    test_accuracy: Fractions | None = Field(
        default=None, description="Test accuracy, a fraction: the mean of the runs, or one value per run."
    )


class Published(Strict):
    """Figures that somebody else reported, to compare with."""

    dataset: DatasetName = Field(
        description="Dataset of the published figures; no verdict is given where the suite has another one."
    )
    source: str = Field(description="Where the figures were published, such as a citation.")
    runs: Count = Field(
        default=1, description="Number of published runs; a single figure is taken as their mean."
    )
    margin_points: Annotated[float, Field(gt=0, lt=100)] = Field(
        default=0.5,
        description="Equivalence margin of the test accuracy, in percentage points: a difference shown to be "
        "smaller counts as REPRODUCED.",
    )
    rounding_points: Annotated[float, Field(ge=0, le=100)] | None = Field(
        default=None,
        description="Step to which accuracies were rounded, in percentage points; `null` takes it "
        "from the published test accuracy with the most digits.",
    )
    curves: str | None = Field(
        default=None,
        description="Path of a CSV file with published metrics per epoch, relative to the suite's file.",
    )
    experiments: dict[str, Figures] = Field(
        description="Published figures by the name of the suite's experiment."
    )

    @model_validator(mode="after")
    def _one_or_one_a_run(self) -> Self:
        for name, figures in self.experiments.items():
            for key, values in figures:
                if values is not None and len(values) not in (1, self.runs):
                    raise ValueError(
                        f"{len(values)} values of {name}.{key}, expected one, "
                        f"or one a run: `runs` is {self.runs}"
                    )
        return self


class PublishedCurve(Strict):
    """Published metrics of one run, epoch by epoch; accuracies are fractions."""

    run: str
    epoch: list[int]
    train_loss: list[float]
    train_accuracy: list[Fraction]
    test_accuracy: list[Fraction]
