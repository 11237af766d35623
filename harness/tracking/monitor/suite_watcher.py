"""Watcher of one suite's folder: finds changes by file names, and reads only what has changed."""

from __future__ import annotations

import contextlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness.config.suite import Suite, Trial
from harness.errors import StoreError, UsageError
from harness.results.estimates import EpochSeconds
from harness.results.lease import read
from harness.results.lease_owner import LeaseOwner
from harness.results.lease_progress import LeaseProgress
from harness.results.seed_rule import called_for
from harness.results.store import State, Store
from harness.tracking.monitor.snapshot import EndedTrial, Held, SuiteSnapshot


@dataclass
class _Files:
    """Files of one trial: its records with their inode numbers, and its latest lease generation."""

    records: dict[str, int] = field(default_factory=dict)
    generation: int = 0


@dataclass(frozen=True)
class _Beat:
    """Last content of a lease file, since when it has not changed, and whether it was ever seen to change."""

    content: bytes
    since: float
    is_moving: bool
    owner: LeaseOwner
    lease_progress: LeaseProgress | None


@dataclass
class SuiteWatcher:
    """Watcher of one suite's results; the epoch times that it reads are added to `seconds`.

    A `given` suite is used in place of suite.json, once there are results under its name.
    """

    store: Store
    name: str
    seconds: EpochSeconds
    given: Suite | None = None
    suite: Suite | None = None
    trials: dict[tuple[str, int], Trial] = field(default_factory=dict)
    _version: tuple[int, ...] = ()
    _ends: dict[tuple[str, int], tuple[dict[str, int], EndedTrial]] = field(default_factory=dict)
    _stale: dict[tuple[str, int], dict[str, int]] = field(default_factory=dict)
    _beats: dict[Path, _Beat] = field(default_factory=dict)

    def poll(self, now: float) -> tuple[SuiteSnapshot | None, list[EndedTrial]]:
        """Return the suite's snapshot, None if it does not exist, and the ends since the previous poll."""
        self._look_for_suite()
        if self.suite is None:
            return None, []
        new = self._look_for_ends(files := self._files())
        beats, held = self._beats, []
        self._beats = {}
        counts: Counter[State] = Counter()
        left = []
        for key, trial in self.trials.items():
            state: State = self._ends[key][1].state if key in self._ends else "left"
            generation = files[key].generation if key in files else 0
            if generation and state != "done":
                path = self.store.lease_path(trial, generation)
                if beat := _beat(path, beats.get(path), now):
                    self._beats[path] = beat
                    held.append(
                        Held(trial, beat.owner, beat.lease_progress, now - beat.since, beat.is_moving)
                    )
                    if held[-1].is_alive:
                        continue
            counts[state] += 1
            if state == "left":
                left.append(trial)
        return SuiteSnapshot(self.name, self.suite.title, counts, held, left), new

    def _look_for_suite(self) -> None:
        """Read `suite.json` if it has changed; raise StoreError if it cannot be read and never could."""
        try:
            found = (self.store.root / self.name / "suite.json").stat()
        except OSError:
            self.suite, self._version = None, ()
            return
        version = found.st_mtime_ns, found.st_size, found.st_ino
        if version == self._version:
            return
        try:
            suite = self.given or self.store.load_suite(self.name)
        except UsageError:  # it was removed meanwhile
            return
        except StoreError:
            if self.suite is None:
                raise
            return
        if suite != self.suite:
            self.suite, self.trials, self._ends, self._stale = suite, {}, {}, {}
            self._take_trials()
        self._version = version

    def _take_trials(self) -> None:
        """Update the trials that the suite calls for; known trials keep their digests."""
        assert self.suite is not None
        known = self.trials
        wanted = called_for(self.store, [self.suite], self.suite.trials())
        keyed = {(trial.experiment, trial.seed): trial for trial in wanted}
        self.trials = {key: known.get(key, trial) for key, trial in keyed.items()}

    def _files(self) -> dict[tuple[str, int], _Files]:
        """List each trial's files, by name alone."""
        by_stem = {
            (trial.experiment, self.store.record_path(trial).stem): key for key, trial in self.trials.items()
        }
        found: defaultdict[tuple[str, int], _Files] = defaultdict(_Files)
        for experiment in dict.fromkeys(experiment for experiment, _ in self.trials):
            for name, number in _listed(self.store.root / self.name / experiment):
                stem, _, rest = name.partition(".")
                key = by_stem.get((experiment, stem))
                if key is None:
                    continue
                if rest.endswith("json"):
                    found[key].records[name] = number
                elif (generation := rest.removeprefix("claim-")).isdecimal():
                    found[key].generation = max(found[key].generation, int(generation))
        return found

    def _look_for_ends(self, files: dict[tuple[str, int], _Files]) -> list[EndedTrial]:
        """Read the records that are new, forget those that are gone, and return the new ends."""
        new = []
        for key, trial in self.trials.items():
            records = files[key].records if key in files else {}
            before = self._ends.get(key)
            if records == (before[0] if before else {}) and not (before and before[1].state == "unreadable"):
                continue
            if records and records == self._stale.get(key):
                continue
            found = self.store.find(trial)
            if found.state == "left":  # removed, during this poll or before, or of other data
                self._ends.pop(key, None)
                self._stale[key] = records if found.other_data else {}
                continue
            if found.record is not None:
                self.seconds.add(found.record)
            end = EndedTrial.of(found)
            self._ends[key] = records, end
            if before is None or before[1] != end:
                new.append(end)
        if new:
            self._take_trials()
        return new


def _listed(folder: Path) -> Iterator[tuple[str, int]]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:  # no folder yet, or not any more
        for entry in entries:
            yield entry.name, entry.inode()


def _beat(path: Path, before: _Beat | None, now: float) -> _Beat | None:
    """Read a lease file; None if it is gone."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError:  # a transient error of a file server
        return before
    if before and content == before.content:
        return before
    owner, lease_progress = read(content)
    goes_on = before is not None and before.owner == owner
    if before and goes_on and lease_progress is None:  # a torn read
        lease_progress = before.lease_progress
    return _Beat(content, now, goes_on, owner, lease_progress)
