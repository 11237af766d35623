"""Base and number types of the pydantic models for what comes from outside: suites, records, files."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1, le=10**9)]


class Strict(BaseModel):
    """Base of the frozen models that refuse unknown keys, other types, NaN and infinity."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def added_later(default: Any, **settings: Any) -> Any:
    """Declare a field that earlier files lack; at its default it is in no dump, hence in no digest."""
    return Field(default=default, exclude_if=lambda value: value == default, **settings)
