"""Scheduler: rank 0 decides for all ranks whether to measure, train some trials one way, or end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from pydantic import Field

from harness.config.suite import Trial
from harness.errors import StoreError
from harness.results.estimates import kind_of, longest_first
from harness.results.lease_owner import LeaseOwner
from harness.results.seed_rule import called_for
from harness.runner.placement import TRIALS_PER_DEVICE, Choice, Execution, by_pace, by_rule, widths
from harness.runner.request import Request
from harness.runner.timing_cache import Circumstances, TimingCache
from harness.strict import Strict


class Phase(Strict):
    """Next work of all ranks: `train` these trials, `measure` them under each execution, or `end`.

    `dead` holds, by trial, the tokens of leases whose owners have been found dead.
    """

    work: Literal["train", "measure", "end"]
    trials: list[str] = Field(default_factory=list)
    executions: list[Execution] = Field(default_factory=list)
    dead: dict[str, str] = Field(default_factory=dict)


class Leased(Protocol):
    """Leases on trials: the owners of taken ones, and the last owners of free ones."""

    def owner(self, trial: Trial) -> LeaseOwner | None:
        """Return the owner of the trial's lease if it may be alive; None if the trial is free."""

    def dead(self, trial: Trial) -> str:
        """Return the token of a free trial's last lease; empty if there is none."""


@dataclass
class PhaseScheduler:
    """Scheduler of phases.

    `candidates` lists the executions for a number of remaining trials. `speedup` estimates the speed of all
    ranks together on one trial, in multiples of one rank's. The caller provides what timings depend on.
    """

    request: Request
    ranks: int
    is_open: Callable[[Trial], bool]
    leases: Leased
    is_stopping: Callable[[], bool]
    candidates: Callable[[int], Sequence[Execution]]
    speedup: Callable[[Trial], float | None]
    circumstances: Callable[[Trial], Circumstances]
    cache: TimingCache
    say: Callable[[str], None]
    can_measure: bool = True
    paces: dict[str, dict[Execution, float | None]] = field(default_factory=dict)

    def next_phase(self) -> Phase:
        """Return the next phase, perhaps after waiting for trials that other runs have leased."""
        left = self._longest_first(self._free())
        if not left:
            return Phase(work="end")
        ways = self.candidates(len(left)) if self._is_measured and self.can_measure else []
        if len(ways) > 1:
            unknown = self._unknown(left, ways)
            if unknown:
                kinds = f"{len(unknown)} kind{'s' * (len(unknown) > 1)} of trials"
                self.say(f"measuring {len(ways)} ways to execute {kinds} (--no-calibrate: none)")
                keys = [each.key for each in unknown]
                return Phase(work="measure", trials=keys, executions=list(ways))
            left = self._longest_first(left)  # now that their times are known
        choice = self._choice(left, ways)
        self.say(choice.reason)
        chosen = left[: choice.trials]
        dead = {each.key: token for each in chosen if (token := self.leases.dead(each))}
        keys = [each.key for each in chosen]
        return Phase(work="train", trials=keys, executions=[choice.execution], dead=dead)

    def learn(self, trial: Trial, paces: Mapping[Execution, float | None]) -> None:
        """Store the measured seconds per epoch of a trial's kind; None if the measurement failed."""
        self.paces[kind_of(trial)] = {**self._known(trial), **paces}
        try:
            self.cache.save(self.circumstances(trial), paces)
        except StoreError as error:
            self.say(f"what was measured is not kept: {error}")

    def _free(self) -> list[Trial]:
        """Return the open trials that no run has leased; wait for some while other runs have leased all.

        A run with --no-wait waits only until it is sure that those runs are alive.
        """
        still_open = self._open()
        waited = 0.0
        while still_open and not self.is_stopping():
            owners = {trial.key: self.leases.owner(trial) for trial in still_open}
            if not all(owners.values()):
                return [trial for trial in still_open if not owners[trial.key]]
            names = ", ".join(sorted(set(map(str, owners.values()))))
            others = f"{len(owners)} of the trials left are being trained by {names}"
            if waited == 0:
                self.say(f"{others}: waiting" if self.request.wait else others)
            if not self.request.wait and waited > self.request.stale_seconds:
                break
            time.sleep(interval := min(1.0, self.request.stale_seconds / 4))
            waited += interval
            still_open = self._open()
        return []

    def _open(self) -> list[Trial]:
        """Return the trials to be trained; the seed rule is applied last, to the newest records."""
        still_open = [trial for trial in self.request.trials if self.is_open(trial)]
        return called_for(self.request.store, self.request.suites, still_open)

    @property
    def _is_measured(self) -> bool:
        return self.request.placement == "auto" and self.request.calibrate

    def _longest_first(self, trials: Sequence[Trial]) -> list[Trial]:
        measured = {kind: [each for each in paces.values() if each] for kind, paces in self.paces.items()}
        return longest_first(
            self.request.store, trials, {kind: min(each) for kind, each in measured.items() if each}
        )

    def _known(self, trial: Trial) -> dict[Execution, float | None]:
        """Return the seconds per epoch of the trial's kind, as measured now or by an earlier run."""
        return self.paces.setdefault(kind_of(trial), self.cache.find(self.circumstances(trial)))

    def _unknown(self, left: Sequence[Trial], ways: Sequence[Execution]) -> list[Trial]:
        """Return a trial of each kind that was not measured under all the usual executions.

        A number of trials at once that is a candidate only because exactly so many are left causes no
        measurement.
        """
        usual = {each for each in ways if self._is_usual(each)}
        return [trial for trial in _one_a_kind(left) if not usual <= set(self._known(trial))]

    def _is_usual(self, execution: Execution) -> bool:
        at_once = execution.trials_per_device
        return at_once in TRIALS_PER_DEVICE or at_once == self.request.trials_per_device

    def _choice(self, left: Sequence[Trial], ways: Sequence[Execution]) -> Choice:
        known = [self.paces.get(kind_of(trial), {}) for trial in left]
        usable = [each for each in ways if all(paces.get(each) for paces in known)]
        if len(ways) < 2 or not usable:
            return self._by_rule(left)
        epochs = [trial.settings.training.epochs for trial in left]
        seconds = {
            each: [count * (paces[each] or 0) for count, paces in zip(epochs, known, strict=True)]
            for each in usable
        }
        return by_pace(seconds, self.ranks)

    def _by_rule(self, left: Sequence[Trial]) -> Choice:
        request = self.request
        fills_all = request.placement != "auto" or len(left) % self.ranks == 0
        speedups = [] if fills_all else [self.speedup(trial) for trial in _one_a_kind(left)]
        known = [each for each in speedups if each is not None]
        least = min(known) if known and len(known) == len(speedups) else None
        at_once = request.trials_per_device or 1
        return by_rule(request.placement, request.engine, at_once, len(left), self.ranks, least)


def _one_a_kind(trials: Sequence[Trial]) -> list[Trial]:
    """Return the first trial of each kind."""
    return list({kind_of(trial): trial for trial in reversed(trials)}.values())[::-1]


def candidates(request: Request, ranks: int, trials: int, *, is_gpu: bool) -> list[Execution]:
    """List the executions from which `auto` may choose here for this number of remaining trials."""
    engine, asked = request.engine, request.trials_per_device
    at_once = [asked] if asked else widths(trials, ranks) if is_gpu else [1]
    spread = [Execution(placement="spread", engine=engine, trials_per_device=each) for each in at_once]
    if is_gpu and engine is None:
        spread.append(Execution(placement="spread", engine="eager", trials_per_device=asked or 1))
    together = [Execution(placement="ddp", engine=engine)] if ranks > 1 and not asked else []
    return [*spread, *together]
