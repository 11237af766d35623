"""Kinds of datasets: one module each, and the tuple KINDS, over which schema, cache and tests go."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from harness.data.kinds.csv import Csv
from harness.data.kinds.folder import Folder
from harness.data.kinds.npz import Npz
from harness.data.kinds.official import Official
from harness.data.kinds.own import Own
from harness.data.kinds.sample import Sample
from harness.data.kinds.torchvision import Torchvision
from harness.data.settings import DatasetSettings
from harness.errors import DataError, nearest

KINDS: tuple[type[DatasetSettings], ...] = (Sample, Official, Torchvision, Folder, Npz, Csv, Own)

BY_NAME = {name: kind for kind in KINDS for name in kind.names()}
PUBLIC = sorted(name for kind in KINDS if not kind.paths for name in kind.names())


def without_paths(dataset: dict[str, Any]) -> dict[str, Any]:
    """Return a dataset's settings without where its files are: what these hold counts by its digest."""
    kind = BY_NAME.get(dataset.get("name", ""))
    paths = kind.paths if kind else ()
    return {key: value for key, value in dataset.items() if key not in paths}


def named(name: str, resize: int | None = None) -> DatasetSettings:
    """Return the settings of a dataset that needs no more than its name; raise DataError if it is unknown."""
    if name not in PUBLIC:
        raise DataError(f"dataset: {name!r} is unknown; {nearest(name, PUBLIC)}")
    try:
        return BY_NAME[name].model_validate({"name": name, "resize": resize})
    except ValidationError as error:
        reasons = (each["msg"].removeprefix("Value error, ") for each in error.errors())
        raise DataError(f"dataset: found {'; '.join(reasons)}") from None
