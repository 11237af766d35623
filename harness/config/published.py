"""Published figures of a suite, single values and curves, as somebody else reported them."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from harness.config.settings import Count, DatasetName, NotNegative, Strict


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


Fraction = Annotated[float, Field(ge=0, le=1)]
Losses = Annotated[list[NotNegative], BeforeValidator(_as_list, json_schema_input_type=float | list[float])]
Fractions = Annotated[list[Fraction], BeforeValidator(_as_list, json_schema_input_type=float | list[float])]


class Figures(Strict):
    """Hold what somebody else reported of one experiment: one value, or one a run; fractions."""

    train_loss: Losses | None = None
    train_accuracy: Fractions | None = None
    test_accuracy: Fractions | None = None


class Published(Strict):
    """Hold somebody else's figures and say where they come from.

    A mean of ours within `margin_points` of theirs counts as reproduced. `rounding_points` is the step to
    which their accuracies were rounded; unless said, that of the last digit that any of them has. `curves`
    is a CSV file beside the suite.
    """

    dataset: DatasetName
    source: str
    runs: Count = 1
    margin_points: Annotated[float, Field(gt=0, lt=100)] = 0.5
    rounding_points: Annotated[float, Field(ge=0, le=100)] | None = None
    curves: str | None = None
    experiments: dict[str, Figures]

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
