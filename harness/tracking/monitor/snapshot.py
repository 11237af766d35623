"""What a follower sees in one look: suites, trials under way and how trials ended. Reads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.config.suite import Trial
from harness.formatting import duration
from harness.results.lease_owner import LeaseOwner
from harness.results.lease_progress import LeaseProgress
from harness.results.store import Found, State

_UNKNOWN_STALE_SECONDS = 60.0


@dataclass(frozen=True)
class Held:
    """A trial that is claimed; by the follower's clock its claim has not changed for `silent_seconds`.

    `is_moving` tells whether it was ever seen to change.
    """

    trial: Trial
    owner: LeaseOwner
    lease_progress: LeaseProgress | None
    silent_seconds: float
    is_moving: bool

    @property
    def is_alive(self) -> bool:
        """Tell whether its holder may live, as other runs would judge it."""
        return self.silent_seconds <= (self.owner.stale_seconds or _UNKNOWN_STALE_SECONDS)

    @property
    def fraction(self) -> float:
        """Return how much of it is trained, as far as is known."""
        return self.lease_progress.fraction if self.lease_progress else 0.0

    @property
    def sign_of_life(self) -> str:
        """Say when it was last known to live."""
        ago = duration(self.silent_seconds)
        if not self.is_alive:
            return f"no sign of life for {ago}"
        return f"alive {ago} ago" if self.is_moving else f"first seen {ago} ago"


@dataclass(frozen=True)
class End:
    """How a trial ended, in one line."""

    trial: Trial
    state: State
    text: str
    when: str

    @classmethod
    def of(cls, found: Found) -> End:
        """Say how the trial ended of which this is on disk."""
        record, text, when = found.record, found.error or "", ""
        if record is not None:
            when = record.ended_at
            if record.status == "done":
                text = f"done, test {100 * record.epochs[-1].test_accuracy:.2f} %"
            elif record.attempts:
                last = record.attempts[-1]
                text = f"{last.status}, {(last.error.strip().splitlines() or [''])[-1]}"
        return cls(found.trial, found.state, printable(text), when)


@dataclass(frozen=True)
class SuiteSnapshot:
    """What is seen of one suite; a trial under way counts as that, whatever there is of it on disk."""

    folder: str
    title: str
    counts: Mapping[State, int]
    held: Sequence[Held] = ()
    left: Sequence[Trial] = ()

    @property
    def running(self) -> list[Held]:
        """List the trials whose holders may live."""
        return [each for each in self.held if each.is_alive]

    @property
    def total(self) -> int:
        """Return how many trials there are."""
        return sum(self.counts.values()) + len(self.running)

    @property
    def completed(self) -> float:
        """Return how many trials' worth is over, well or not."""
        over = sum(count for state, count in self.counts.items() if state != "left")
        return over + sum(each.fraction for each in self.running)

    def __str__(self) -> str:
        several = {"running": len(self.running), "left": self.counts["left"]}
        troubles: tuple[State, ...] = ("failed", "diverged", "unreadable")
        parts = [f"{self.counts['done']} of {self.total} done"]
        parts += [f"{self.counts[state]} {state}" for state in troubles if self.counts[state]]
        return ", ".join([*parts, *(f"{count} {name}" for name, count in several.items() if count)])


@dataclass(frozen=True)
class TimeLeft:
    """How long what is left should take with as many trials at once as now; `unknown` ones are not in it."""

    seconds: float
    at_once: int
    unknown: int = 0

    def __str__(self) -> str:
        unknown = f", and {self.unknown} of unknown time" if self.unknown else ""
        return f"about {duration(self.seconds)} left, {self.at_once} at once{unknown}"


@dataclass(frozen=True)
class Snapshot:
    """All that one look shows; `ended` is what ended since the look before, `latest` the last ends."""

    suites: Sequence[SuiteSnapshot]
    awaited: Sequence[str] = ()
    ended: Sequence[End] = ()
    latest: Sequence[End] = ()
    time_left: TimeLeft | None = None

    @property
    def is_over(self) -> bool:
        """Tell whether nothing is left to train and nobody trains."""
        return not self.awaited and not any(suite.counts["left"] or suite.running for suite in self.suites)

    @property
    def is_troubled(self) -> bool:
        """Tell whether a trial failed or diverged, or its record is unreadable."""
        states: tuple[State, ...] = ("failed", "diverged", "unreadable")
        return any(suite.counts[state] for suite in self.suites for state in states)


def printable(text: str) -> str:
    """Return the text with nothing in it that a terminal would obey."""
    return "".join(each if each.isprintable() else "?" for each in text)
