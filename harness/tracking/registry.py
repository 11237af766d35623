"""Trackers by name: built-in ones, in one registry, and users' own.

To add a built-in tracker, add a module with a callable as `interface.OpenTracker`, and a line to TRACKERS.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from harness.errors import UsageError, nearest
from harness.plugins import imported, is_callable_path
from harness.results.store import Store
from harness.tracking.interface import OpenTracker


@dataclass(frozen=True)
class BuiltIn:
    """A built-in tracker, imported when it is opened.

    `name` is also that of its package on PyPI, `title` the one that people know. `opens` is the
    `module:callable` that opens it, `viewer` the command that shows the folder given after it.
    """

    name: str
    title: str
    opens: str
    viewer: str


TRACKERS = (
    BuiltIn("tensorboard", "TensorBoard", "harness.tracking.tensorboard:EventFile", "tensorboard --logdir"),
)


def built_in(name: str) -> BuiltIn | None:
    """Return the built-in tracker of this name; None if it is a user's own."""
    return next((each for each in TRACKERS if each.name == name), None)


def check_name(what: str, name: str) -> None:
    """Raise UsageError about `what` if no tracker can have this name; import nothing."""
    if not built_in(name) and not is_callable_path(name):
        known = nearest(name, [each.name for each in TRACKERS])
        raise UsageError(f"{what}: found {name!r}; {known}, or your own package.module:callable")


def opener(what: str, name: str) -> OpenTracker:
    """Return the factory of this tracker; raise UsageError about `what` if there is none."""
    check_name(what, name)
    ours = built_in(name)
    if ours is None:
        return imported(what, name, UsageError)
    module, _, attribute = ours.opens.partition(":")
    try:
        return cast(OpenTracker, getattr(importlib.import_module(module), attribute))
    except Exception as error:  # also if it is installed, with an incompatible protobuf or numpy
        raise UsageError(
            f"{what} {name!r}: {ours.title} cannot be imported: {error}; pip install {name}"
        ) from error


def default_root(store: Store, name: str) -> Path:
    """Return the root of a tracker's folders; it begins with a dot, which no suite's folder does."""
    return store.root / ".logs" / name.replace(":", ".")
