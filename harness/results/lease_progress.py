"""Headway: how far a trial is, as its claim says beside every beat, for those who only look on."""

from __future__ import annotations

import zlib
from typing import Annotated

from pydantic import Field

from harness.config.settings import Strict
from harness.results.record import Epoch

_WIDTH = 560  # the longest figures fit; a line of one length leaves nothing of an earlier one


class LeaseProgress(Strict):
    """Say which fraction of a trial is trained, and what its latest whole epoch found, if there is one."""

    fraction: Annotated[float, Field(ge=0, le=1)]
    epochs: Annotated[int, Field(ge=1)]
    last: Epoch | None = None
    samples_per_second: float | None = None

    @property
    def epoch(self) -> int:
        """Return how many epochs are whole."""
        return self.last.epoch if self.last else int(self.fraction * self.epochs)

    @property
    def epoch_seconds(self) -> float | None:
        """Return what the latest epoch took."""
        return self.last.train_seconds + self.last.eval_seconds if self.last else None

    def line(self) -> bytes:
        """Write it with a checksum, by which a reader knows a line that is half an earlier one."""
        text = self.model_dump_json().encode()
        return (b"%08x %s" % (zlib.crc32(text), text)).ljust(_WIDTH)

    @classmethod
    def from_line(cls, line: bytes) -> LeaseProgress | None:
        """Read a line; None where it says nothing, or is torn."""
        checksum, _, text = line.strip().partition(b" ")
        if checksum != b"%08x" % zlib.crc32(text):
            return None
        try:
            return cls.model_validate_json(text)
        except ValueError:
            return None
