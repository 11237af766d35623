"""Key-value store that the ranks of a run share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch.distributed as dist

from harness.errors import LostRankError


@contextlib.contextmanager
def store_errors() -> Iterator[None]:
    """Raise LostRankError where torchrun, which serves the store, is gone."""
    try:
        yield
    except dist.DistError:
        raise LostRankError("torchrun is gone: its store does not answer any more") from None


@dataclass(frozen=True)
class KeyValueStore:
    """A key-value store that all ranks share; no method waits.

    Raises LostRankError once the store, and with it torchrun, is gone.
    """

    store: dist.Store  # type: ignore[name-defined]

    def set(self, key: str, text: str) -> None:
        """Set a key, visible to all ranks."""
        with store_errors():
            self.store.set(key, text)

    def get(self, key: str) -> str | None:
        """Return a key's text, or None if it is not set; never waits."""
        with store_errors():
            return self.store.get(key).decode() if self.store.check([key]) else None

    def get_all(self, keys: Sequence[str]) -> list[str | None]:
        """Return the texts of keys as `get` does, in two operations where all of them are set."""
        with store_errors():
            if self.store.check(list(keys)):
                return [each.decode() for each in self.store.multi_get(list(keys))]
        return [self.get(key) for key in keys]

    def add(self, key: str, amount: int = 1) -> int:
        """Add to a counter and return its new value."""
        with store_errors():
            return int(self.store.add(key, amount))
