"""Exceptions for errors that the user or the machine causes, each with its exit code.

HarnessError
├── UsageError        a wrong argument, or a wrong combination of arguments
├── SuiteError        the mistakes in a suite, all at once
├── ModelError        a model that cannot be found, built, or trained the same way on every rank
│   ├── AugmentationError   augmentations that do not fit the data
│   └── LossError           a loss that cannot be found or called, or does not fit the data
├── DataError         a dataset that is missing or damaged, or cannot be downloaded
├── StoreError        results that cannot be read or written
└── RunError          a run that could not be finished
    ├── LostRankError     a rank that no longer responds
    ├── LostLeaseError    a trial that another run has taken over
    ├── CrashError        a rank whose process ended by itself
    └── InterruptedRunError   a signal that ended the run

Each message is complete by itself: where, what was found, what was expected, what to do. `exit_code` is
the exit code of `harness` when the error reaches the command line.
"""

from __future__ import annotations

import difflib
import signal
from collections.abc import Iterable, Mapping

_MOST_SHOWN = 200


class HarnessError(Exception):
    """Base class of errors that are shown as a message, without a traceback."""

    exit_code = 2


class UsageError(HarnessError):
    """A wrong argument, or a wrong combination of arguments."""


class SuiteError(HarnessError):
    """One or more mistakes in a suite, one per line."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.mistakes))


class ModelError(HarnessError):
    """A model that cannot be found, built, or trained the same way on every rank.

    `path` is the key path of the setting that is wrong, in an experiment.
    """

    path: tuple[str, ...] = ("model",)


class AugmentationError(ModelError):
    """Augmentations that do not fit the data."""

    path = ("training", "augment")


class TrainingError(ModelError):
    """Training settings that do not fit the data or the model."""

    path = ("training",)


class LossError(ModelError):
    """A loss that cannot be found or called, or that does not fit the data."""

    path = ("training", "loss")


class DataError(HarnessError):
    """A dataset that is missing or damaged, or cannot be downloaded."""


class StoreError(HarnessError):
    """Results that cannot be read or written."""

    exit_code = 1


class RunError(HarnessError):
    """A run that could not be finished."""

    exit_code = 1


class LostRankError(RunError):
    """A rank that no longer responds, with the reason for each of the trials that it was training."""

    def __init__(self, text: str, trials: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.trials = trials or {}


class LostLeaseError(RunError):
    """A trial that another run has taken over or already recorded."""


class CrashError(RunError):
    """A rank whose process ended by itself; its own message was printed before."""


class InterruptedRunError(RunError):
    """A signal that ended the run; the exit code is 128 + the signal's number."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number
        name = signal.Signals(number).name
        super().__init__(
            f"interrupted by {name}: everything finished is saved; the same command goes on from here"
        )


def is_of_trial(error: BaseException | None) -> bool:
    """Tell whether an error ends its own trial only, not the run.

    Errors of the model do, its `sys.exit()` too. KeyboardInterrupt, GeneratorExit and other HarnessErrors do
    not.
    """
    if isinstance(error, KeyboardInterrupt | GeneratorExit | None):
        return False
    return isinstance(error, ModelError) or not isinstance(error, HarnessError)


def shown(found: object) -> str:
    """Return a value's `repr` for a message, shortened if it is long."""
    text = repr(found)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def nearest(found: object, known: Iterable[str]) -> str:
    """Return a hint for a message: the name in `known` closest to `found`, then all known names."""
    names = {name.casefold(): name for name in sorted(known)}
    close = difflib.get_close_matches(str(found).casefold(), names, n=1, cutoff=0.5)
    hint = f"did you mean {names[close[0]]!r}? " if close else ""
    return f"{hint}known: {', '.join(names.values()) or 'none'}"
