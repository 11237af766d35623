"""A wall clock that jumps, as a `sitecustomize.py` that changes it in every process."""

from __future__ import annotations

# Python runs it first in every process: another wall clock, that leaps by hours several times a second.
JUMPING_CLOCK = """\
import datetime
import os
import time

_now, _monotonic, _datetime = time.time, time.monotonic, datetime.datetime


def _jumping():
    hours = (0, 5, -5, 25, -2)[int(4 * _monotonic()) % 5]
    if hours and "HARNESS_LAUNCHED" in os.environ:
        open("jumped", "w").close()
    return _now() + 3600 * hours


class _Datetime(_datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(_jumping(), tz)

    @classmethod
    def utcnow(cls):
        return cls.now(datetime.timezone.utc).replace(tzinfo=None)


time.time, time.time_ns = _jumping, lambda: int(1e9 * _jumping())
datetime.datetime = _Datetime
"""
