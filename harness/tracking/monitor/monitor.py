"""Polls result folders and estimates the time left."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.config.suite import Suite
from harness.results.estimates import EpochSeconds, estimates, kind_of
from harness.results.store import Store
from harness.tracking.monitor.snapshot import EndedTrial, Held, Snapshot, SuiteSnapshot, TimeLeft
from harness.tracking.monitor.suite_watcher import SuiteWatcher

_LATEST = 5


@dataclass
class Monitor:
    """Poller of the suites listed by `names`, also of those that do not exist yet; `now` is its own clock.

    `given` suites, by folder, are used in place of their suite.json.
    """

    store: Store
    names: Callable[[], Sequence[str]]
    now: Callable[[], float]
    given: Mapping[str, Suite] = field(default_factory=dict)
    _seconds: EpochSeconds = field(default_factory=EpochSeconds)
    _folders: dict[str, SuiteWatcher] = field(default_factory=dict)
    _latest: deque[EndedTrial] = field(default_factory=lambda: deque(maxlen=_LATEST))
    _paces: Mapping[str, float] | None = None

    def poll(self) -> Snapshot:
        """Poll once, reading only what has changed; raise StoreError if a suite cannot be read."""
        now, is_first = self.now(), self._paces is None
        self._folders = {
            name: self._folders.get(name)
            or SuiteWatcher(self.store, name, self._seconds, self.given.get(name))
            for name in self.names()
        }
        suites, awaited = [], []
        found: list[EndedTrial] = []
        ended: list[EndedTrial] = []
        for name, folder in self._folders.items():
            is_known = folder.suite is not None
            suite, new = folder.poll(now)
            if suite is None:
                awaited.append(name)
                continue
            suites.append(suite)
            found += new
            ended += new if is_known else []  # those before the first poll are not news
        self._latest.extend(sorted(found, key=lambda end: end.when))
        if is_first:
            self._look_elsewhere()
        if found or self._paces is None:
            self._paces = self._seconds.medians()
        return Snapshot(suites, awaited, ended, list(self._latest)[::-1], _time_left(suites, self._paces))

    def _look_elsewhere(self) -> None:
        """Add the epoch times of other suites' records, once."""
        trials = [trial for folder in self._folders.values() for trial in folder.trials.values()]
        self._seconds.add_all(self.store, {self.store.record_path(trial).with_suffix("") for trial in trials})


def _time_left(suites: Sequence[SuiteSnapshot], paces: Mapping[str, float]) -> TimeLeft | None:
    """Estimate from the epoch times of the trials under way, or else from those of records.

    Return None if no trial is running, or if there is no estimate for any trial.
    """
    running = [each for suite in suites for each in suite.running]
    left = [trial for suite in suites for trial in suite.left]
    own = {kind_of(each.trial): pace for each in running if (pace := _pace(each))}
    known = {**paces, **own}
    wholes = estimates([each.trial for each in running], known)
    rests = [
        None if whole is None else (1 - each.fraction) * whole
        for each, whole in zip(running, wholes, strict=True)
    ]
    under_way = [rest for rest in rests if rest is not None]
    to_come = [whole for whole in estimates(left, known) if whole is not None]
    if not running or not (under_way or to_come):
        return None
    unknown = len(running) + len(left) - len(under_way) - len(to_come)
    at_once = len(running)
    seconds = max([(sum(under_way) + sum(to_come)) / at_once, *under_way])
    return TimeLeft(seconds, at_once, unknown)


def _pace(held: Held) -> float | None:
    return held.lease_progress.epoch_seconds if held.lease_progress else None
