"""The dataset of a suite: a kind, chosen by its name, or a user's own callable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, WithJsonSchema

from harness.data import KINDS, DatasetSettings
from harness.data.kinds import BY_NAME
from harness.data.kinds.own import Own
from harness.errors import nearest
from harness.plugins import is_callable_path
from harness.registry import OWN_PATTERN, one_of


def _known(name: str) -> str:
    if name not in BY_NAME and not is_callable_path(name):
        raise ValueError(f"{name!r}; {nearest(name, BY_NAME)}, or your own package.module:callable")
    return name


DatasetName = Annotated[
    str,
    AfterValidator(_known),
    WithJsonSchema({"anyOf": [{"enum": sorted(BY_NAME)}, {"type": "string", "pattern": OWN_PATTERN}]}),
]
if TYPE_CHECKING:
    AnyDataset = DatasetSettings
else:
    AnyDataset = one_of([kind for kind in KINDS if kind is not Own], Own)
