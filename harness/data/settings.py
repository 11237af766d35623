"""What every kind of dataset has: its settings in a suite, and what the cache asks of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from harness.data.folders import Search
from harness.data.raw import Raw
from harness.registry import names_of
from harness.strict import Count, Positive, Strict, added_later


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class Statistics(Strict):
    """Mean to subtract and standard deviation to divide by: one for all, or one a channel or feature."""

    mean: Annotated[
        list[float],
        Field(min_length=1),
        BeforeValidator(_as_list, json_schema_input_type=float | list[float]),
    ] = Field(description="Mean, of values in [0, 1] for images of bytes.", examples=[0.5])
    std: Annotated[
        list[Positive],
        Field(min_length=1),
        BeforeValidator(_as_list, json_schema_input_type=float | list[float]),
    ] = Field(description="Standard deviation, in the same units.", examples=[0.25])


class Validation(Strict):
    """Part of the training samples that is held out for validation, with each class in its proportion."""

    fraction: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="Fraction of the training samples."
    )
    count: Count | None = Field(default=None, description="Number of samples, instead of a fraction.")

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.fraction is None) == (self.count is None):
            raise ValueError(
                f"{'neither' if self.count is None else 'both'} of `fraction` and `count`, expected one"
            )
        return self


class TestSplit(Strict):
    """Part of all samples that becomes the test set, with each class in its proportion."""

    test: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="Fraction of the samples that are tested on.", examples=[0.2]
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(
        default=0, description="Seed of the split, which depends on it and the data alone."
    )


@dataclass(frozen=True)
class Facts:
    """What a dataset's name tells: samples of each split, (rows, columns, channels) of an image, classes.

    The shape is None where images differ in size.
    """

    samples: tuple[int, ...]
    shape: tuple[int, int, int] | None
    num_classes: int
    source: str


Normalize = Annotated[
    Annotated[Literal["dataset"], Tag("word")] | Annotated[Statistics, Tag("statistics")],
    Discriminator(lambda value: "statistics" if isinstance(value, dict | Statistics) else "word"),
]


class DatasetSettings(Strict):
    """Dataset of all experiments of a suite; a subclass is a kind, which says how its data are read."""

    note: ClassVar[str] = ""  # a sentence under its tables
    paths: ClassVar[tuple[str, ...]] = ()  # keys that say where its files are, and nothing of what they hold

    name: str = Field(description="Name of the dataset.")
    resize: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None,
        description="Side in pixels to which images are resized (square, bilinear); `null` keeps their size.",
    )
    normalize: Normalize | None = added_later(
        None,
        description="Whether a mean is subtracted and a standard deviation divided by, for each channel or "
        "feature: those of the training samples (`dataset`) or given ones.",
    )
    validation: Validation | None = added_later(
        None, description="Part of the training samples that is held out for validation."
    )

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names that a suite may call this kind by."""
        return names_of(cls)

    @property
    def title(self) -> str:
        """Return how texts name the dataset."""
        return self.name

    @property
    def description(self) -> str:
        """Return the dataset and what is done to it, for texts."""
        parts = [self.title, f"{self.resize} x {self.resize} pixels" if self.resize else ""]
        parts += ["normalized" if self.normalize else ""]
        if self.validation:
            held = self.validation.count or f"{100 * (self.validation.fraction or 0):g} %"
            parts += [f"{held} of the training samples held out"]
        return ", ".join(filter(None, parts))

    @property
    def facts(self) -> Facts | None:
        """Return what its name tells of it, None if nothing."""
        return None

    @property
    def sizes(self) -> tuple[int, ...] | None:
        """Return the numbers of training and test samples, None where the name does not tell."""
        return self.facts.samples[:2] if self.facts and len(self.facts.samples) > 1 else None

    @property
    def what_counts(self) -> dict[str, Any]:
        """Return the settings without the paths of files, whose content counts by its digest."""
        return self.model_dump(exclude=set(self.paths))

    def split_of(self) -> TestSplit | None:
        """Return how the data are split into training and test samples; None if they come so."""
        split: TestSplit | None = getattr(self, "split", None)
        return split

    def is_here(self, search: Search) -> bool:
        """Tell whether its data can be read without a download, and without running a user's code.

        Raise DataError for a damaged or wrong file, OSError for one that cannot be read.
        """
        raise NotImplementedError

    def identity(self, search: Search) -> Any:
        """Return what its arrays are made from, as JSON: the cache has an entry for each."""
        raise NotImplementedError

    def read(self, search: Search) -> Raw:
        """Read the data, downloaded if need be; raise DataError or OSError."""
        raise NotImplementedError
