"""Kinds of datasets: one module each, and the tuple KINDS, over which schema, cache and tests go."""

from __future__ import annotations

from harness.data.kinds.official import Official
from harness.data.kinds.sample import Sample
from harness.data.settings import DatasetSettings
from harness.errors import DataError, nearest

KINDS: tuple[type[DatasetSettings], ...] = (Official, Sample)

BY_NAME = {name: kind for kind in KINDS for name in kind.names()}


def named(name: str, resize: int | None = None) -> DatasetSettings:
    """Return the settings of a dataset that needs no more than its name; raise DataError if it is unknown."""
    if name not in BY_NAME:
        raise DataError(f"dataset: {name!r} is unknown; {nearest(name, BY_NAME)}")
    return BY_NAME[name].model_validate({"name": name, "resize": resize})
