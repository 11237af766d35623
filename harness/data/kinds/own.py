"""Data that a user's own callable makes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from harness.data.arrays import raw_of
from harness.data.folders import Search
from harness.data.raw import Raw
from harness.data.settings import DatasetSettings, TestSplit
from harness.errors import DataError
from harness.module_sources import sources_of
from harness.plugins import imported, search_path
from harness.registry import OWN_PATTERN, OwnCallable
from harness.strict import added_later
from harness.user_code import calling


class Own(OwnCallable, DatasetSettings):
    """Data of your own; keys other than these are keyword arguments of the callable."""

    model_config = ConfigDict(title="your own data", extra="allow")

    name: Annotated[str, Field(pattern=OWN_PATTERN)] = Field(
        description="Callable that returns the arrays of an .npz file by name, as `package.module:callable`.",
        examples=["own:flowers"],
    )
    split: TestSplit | None = added_later(
        None, description="How the training arrays are split where it returns no test arrays."
    )

    def is_here(self, search: Search) -> bool:
        """Return False: what the callable does is not known."""
        return False

    def identity(self, search: Search) -> Any:
        """Return the hash of the callable's code, without importing it."""
        sources = sources_of([self.name.partition(":")[0]], search_path())
        return sources.hash if sources else ""

    def read(self, search: Search) -> Raw:
        """Call the callable; raise DataError for whatever it raises."""
        found = imported("dataset", self.name, DataError)
        settings = json.loads(json.dumps(self.arguments))  # a copy that is the callable's own
        with calling(f"dataset {self.name!r}", DataError):
            arrays = found(**settings)
        if not isinstance(arrays, Mapping):
            kind = type(arrays).__name__
            raise DataError(f"dataset {self.name!r}: found {kind}, expected a mapping of arrays by name")
        return raw_of({str(name): array for name, array in arrays.items()}, self.name, self.split)
