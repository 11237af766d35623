"""What every kind of dataset has: its settings in a suite, and what the cache asks of it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, get_args

from pydantic import Field

from harness.data.folders import Search
from harness.data.raw import Raw
from harness.strict import Strict


class DatasetSettings(Strict):
    """Dataset of all experiments of a suite; a subclass is a kind, which says how its data are read."""

    note: ClassVar[str] = ""  # a sentence under its tables

    name: str = Field(description="Name of the dataset.")
    resize: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None,
        description="Side in pixels to which images are resized (square, bilinear); `null` keeps their size.",
    )

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names that a suite may call this kind by."""
        return get_args(cls.model_fields["name"].annotation)

    @property
    def sizes(self) -> tuple[int, int] | None:
        """Return the numbers of training and test samples, None where the name does not tell."""
        return None

    def is_here(self, search: Search) -> bool:
        """Tell whether its files are on this machine.

        Raise DataError for a damaged or wrong one, OSError for one that cannot be read.
        """
        raise NotImplementedError

    def identity(self, search: Search) -> Any:
        """Return what its arrays are made from, as JSON: the cache has an entry for each."""
        raise NotImplementedError

    def read(self, search: Search) -> Raw:
        """Read the data, downloaded if need be; raise DataError or OSError."""
        raise NotImplementedError
