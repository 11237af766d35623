"""Registry of trackers by name: built-in ones and users' own."""

from __future__ import annotations

from pathlib import Path

from harness.errors import UsageError, nearest
from harness.plugins import imported, is_callable_path
from harness.results.store import Store
from harness.tracking.interface import OpenTracker

_OURS = ("tensorboard",)


def check_name(what: str, name: str) -> None:
    """Raise UsageError about `what` if no tracker can have this name; import nothing."""
    if name not in _OURS and not is_callable_path(name):
        raise UsageError(
            f"{what}: found {name!r}; {nearest(name, _OURS)}, or your own package.module:callable"
        )


def opener(what: str, name: str) -> OpenTracker:
    """Return the factory of this tracker; raise UsageError about `what` if there is none."""
    check_name(what, name)
    if name not in _OURS:
        return imported(what, name, UsageError)
    try:
        from harness.tracking.tensorboard import EventFile
    except Exception as error:  # also if it is installed, with an incompatible protobuf or numpy
        raise UsageError(
            f"{what} {name!r}: TensorBoard cannot be imported: {error}; pip install tensorboard"
        ) from error
    return EventFile


def default_root(store: Store, name: str) -> Path:
    """Return the root of a tracker's folders; it begins with a dot, which no suite's folder does."""
    return store.root / ".logs" / name.replace(":", ".")
