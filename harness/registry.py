"""Sections of a suite that are one of a registry's classes, chosen by `name`, or the user's own callable."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from harness.plugins import is_callable_path
from harness.strict import Strict

_OWN = "package.module:callable"
OWN_PATTERN = r"^[\w.]+:\w+$"


class OwnCallable(Strict):
    """Callable of the user's own: all other keys are its keyword arguments."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(pattern=OWN_PATTERN)] = Field(
        description="Your own callable, as `package.module:callable`."
    )

    @property
    def arguments(self) -> dict[str, Any]:
        """Return its keyword arguments."""
        return self.model_extra or {}


def one_of(
    classes: Sequence[type[Strict]], own: type[Strict] | None = None, default: str | None = None
) -> Any:
    """Return the type of a section that is one of these classes, or `own` for the name of a callable.

    `default` is the name of a section that gives none.
    """
    tagged = [Annotated[each, Tag(name)] for each in classes for name in names_of(each)]
    if own is not None:
        tagged.append(Annotated[own, Tag(_OWN)])

    def tag(value: Any) -> Any:
        name = value.get("name", default) if isinstance(value, dict) else getattr(value, "name", default)
        return _OWN if own and isinstance(name, str) and is_callable_path(name) else name

    return Annotated[reduce(or_, tagged), Discriminator(tag)]


def names_of(entry: type[BaseModel]) -> tuple[str, ...]:
    """Return the names under which an entry of a registry is chosen; none for a callable of the user's."""
    field = entry.model_fields.get("name")
    names: tuple[str, ...] = get_args(field.annotation) if field else ()
    return names


def title_of(entry: type[Strict]) -> str:
    """Return the title of an entry in the suite reference: its name, or that of its class if it has none."""
    names = names_of(entry)
    return names[0] if names else entry.__name__


def example_of(entry: type[Strict]) -> dict[str, Any]:
    """Return settings of an entry: the first example of each key that has one; required keys all have."""
    fields = entry.model_fields.items()
    return {"name": names_of(entry)[0]} | {key: field.examples[0] for key, field in fields if field.examples}
