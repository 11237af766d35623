"""Snapshot of one poll: suites, trials under way and how trials ended. Reads no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.config.suite import Trial
from harness.formatting import duration, percent
from harness.results.epoch_rule import reported_epoch
from harness.results.lease_owner import LeaseOwner
from harness.results.lease_progress import LeaseProgress
from harness.results.store import Found, State

_UNKNOWN_STALE_SECONDS = 60.0


@dataclass(frozen=True)
class Held:
    """A trial with a lease, which has not changed for `silent_seconds` by the monitor's clock.

    `is_moving` says whether the lease was ever seen to change.
    """

    trial: Trial
    owner: LeaseOwner
    lease_progress: LeaseProgress | None
    silent_seconds: float
    is_moving: bool

    @property
    def is_alive(self) -> bool:
        """Return whether the lease's owner may be alive, by the rule that other runs use."""
        return self.silent_seconds <= (self.owner.stale_seconds or _UNKNOWN_STALE_SECONDS)

    @property
    def fraction(self) -> float:
        """Return the fraction that is trained, from 0 to 1; 0 if unknown."""
        return self.lease_progress.fraction if self.lease_progress else 0.0

    @property
    def last_heartbeat(self) -> str:
        """Return when the owner was last known to be alive, in words."""
        ago = duration(self.silent_seconds)
        if not self.is_alive:
            return f"no heartbeat for {ago}"
        return f"alive {ago} ago" if self.is_moving else f"first seen {ago} ago"


@dataclass(frozen=True)
class EndedTrial:
    """End of a trial, described in one line."""

    trial: Trial
    state: State
    text: str
    when: str

    @classmethod
    def of(cls, found: Found) -> EndedTrial:
        """Return how a trial ended, from what is on disk."""
        record, text, when = found.record, found.error or "", ""
        if record is not None:
            when = record.ended_at
            if record.status == "done":
                epoch = reported_epoch(found.trial.settings.training, record.epochs)
                text = f"done, test {percent(epoch.test_accuracy)}"
            elif record.attempts:
                last = record.attempts[-1]
                text = f"{last.status}, {(last.error.strip().splitlines() or [''])[-1]}"
        return cls(found.trial, found.state, printable(text), when)


@dataclass(frozen=True)
class SuiteSnapshot:
    """State of one suite; a trial under way counts as running, whatever record it has on disk."""

    folder: str
    title: str
    counts: Mapping[State, int]
    held: Sequence[Held] = ()
    left: Sequence[Trial] = ()

    @property
    def running(self) -> list[Held]:
        """List the trials with a lease owner that may be alive."""
        return [each for each in self.held if each.is_alive]

    @property
    def total(self) -> int:
        """Return the number of the suite's trials, in any state."""
        return sum(self.counts.values()) + len(self.running)

    @property
    def completed(self) -> float:
        """Return the number of ended trials, whatever their outcome, plus the fractions of running ones."""
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
    """Estimated time left if as many trials run at once as now; `unknown` trials are not included."""

    seconds: float
    at_once: int
    unknown: int = 0

    def __str__(self) -> str:
        unknown = f", and {self.unknown} of unknown time" if self.unknown else ""
        return f"about {duration(self.seconds)} left, {self.at_once} at once{unknown}"


@dataclass(frozen=True)
class Snapshot:
    """Result of one poll; `ended` holds the ends since the previous poll, `latest` the most recent ends."""

    suites: Sequence[SuiteSnapshot]
    awaited: Sequence[str] = ()
    ended: Sequence[EndedTrial] = ()
    latest: Sequence[EndedTrial] = ()
    time_left: TimeLeft | None = None

    @property
    def is_over(self) -> bool:
        """Return whether nothing is left to train and no trial is running."""
        return not self.awaited and not any(suite.counts["left"] or suite.running for suite in self.suites)

    @property
    def is_troubled(self) -> bool:
        """Return whether a trial failed or diverged, or its record is unreadable."""
        states: tuple[State, ...] = ("failed", "diverged", "unreadable")
        return any(suite.counts[state] for suite in self.suites for state in states)


def printable(text: str) -> str:
    """Return the text without terminal control sequences: `?` replaces each non-printable character."""
    return "".join(each if each.isprintable() else "?" for each in text)
