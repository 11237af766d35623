"""Progress record written with each lease heartbeat, read by `harness status --follow`."""

from __future__ import annotations

import zlib
from typing import Annotated

from pydantic import Field

from harness.results.record import Epoch
from harness.strict import Strict

_WIDTH = 560  # fits the longest numbers; lines of one length overwrite each other in full


class LeaseProgress(Strict):
    """The fraction of a trial that is trained, and the metrics of its latest complete epoch, if any."""

    fraction: Annotated[float, Field(ge=0, le=1)]
    epochs: Annotated[int, Field(ge=1)]
    last: Epoch | None = None
    samples_per_second: float | None = None

    @property
    def epoch(self) -> int:
        """Return the number of complete epochs."""
        return self.last.epoch if self.last else int(self.fraction * self.epochs)

    @property
    def epoch_seconds(self) -> float | None:
        """Return the seconds of the latest complete epoch, None before the first."""
        return self.last.train_seconds + self.last.eval_seconds if self.last else None

    def line(self) -> bytes:
        """Return it as a line with a checksum, by which a reader detects a half-overwritten one."""
        text = self.model_dump_json(exclude={"last": {"others"}}).encode()  # a line has one length
        return (b"%08x %s" % (zlib.crc32(text), text)).ljust(_WIDTH)

    @classmethod
    def from_line(cls, line: bytes) -> LeaseProgress | None:
        """Parse a line; None if it holds no progress or is half overwritten."""
        checksum, _, text = line.strip().partition(b" ")
        if checksum != b"%08x" % zlib.crc32(text):
            return None
        try:
            return cls.model_validate_json(text)
        except ValueError:
            return None
