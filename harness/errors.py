"""The errors that a user can cause, or that their machine can.

HarnessError
├── UsageError        a wrong argument or a combination of them
├── SuiteError        mistakes in a suite, all of them at once
├── ModelError        a model that cannot be found, built or trained alike on every rank
├── DataError         a dataset that is missing, damaged or cannot be fetched
├── StoreError        results that cannot be read or written
└── RunError          a run that could not be finished
    ├── LostRankError     a rank that gives no sign of life any more
    ├── LostClaimError    a trial that another run has taken over
    ├── CrashError        a rank that ended by itself
    └── InterruptedRunError   a signal that ended the run

Each one's text stands on its own: where, what was found, what was expected, what to do. `exit_code` is
what `harness` leaves with when the error reaches the command line.
"""

from __future__ import annotations

import difflib
import signal
from collections.abc import Iterable


class HarnessError(Exception):
    """Stop with a message for people and no traceback."""

    exit_code = 2


class UsageError(HarnessError):
    """A wrong argument."""


class SuiteError(HarnessError):
    """One or more mistakes in a suite, a line each."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.mistakes))


class ModelError(HarnessError):
    """A model that cannot be found, built or trained alike on every rank."""


class DataError(HarnessError):
    """A dataset that is missing, damaged or cannot be fetched."""


class StoreError(HarnessError):
    """Results that cannot be read or written."""

    exit_code = 1


class RunError(HarnessError):
    """A run that could not be finished."""

    exit_code = 1


class LostRankError(RunError):
    """A rank that gives no sign of life any more."""


class LostLeaseError(RunError):
    """A trial that another run has taken over."""


class CrashError(RunError):
    """A rank that ended by itself, its message standing above."""


class InterruptedRunError(RunError):
    """A signal that ended the run; leaves with 128 + its number."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number
        name = signal.Signals(number).name
        super().__init__(
            f"interrupted by {name}: everything finished is saved; the same command goes on from here"
        )


def nearest(found: object, known: Iterable[str]) -> str:
    """Say which of `known` is closest to `found`, then all of them."""
    names = {name.casefold(): name for name in sorted(known)}
    close = difflib.get_close_matches(str(found).casefold(), names, n=1, cutoff=0.5)
    hint = f"did you mean {names[close[0]]!r}? " if close else ""
    return f"{hint}known: {', '.join(names.values()) or 'none'}"
