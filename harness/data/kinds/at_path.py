"""Base of the kinds of datasets that lie at a path."""

from __future__ import annotations

from typing import ClassVar

from harness.data.folders import Search
from harness.data.settings import DatasetSettings


class AtPath(DatasetSettings):
    """Dataset in a file or folder of the user's."""

    paths: ClassVar[tuple[str, ...]] = ("path",)

    path: str

    @property
    def title(self) -> str:
        """Return the path."""
        return self.path

    def is_here(self, search: Search) -> bool:
        """Return True; raise DataError if nothing usable is there."""
        return bool(self.identity(search))
