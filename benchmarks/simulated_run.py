"""A run of many jobs under a simulated clock: which rank trains which trial when, and what deaths cost.

A trial is known by its place in the starting order. Nothing takes time but training, a job's start after a
rank's death, and the silence after which the trials of a lost job are free.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

from benchmarks.simulated_fleet import RESTART_SECONDS, Fleet, Loss, Work
from benchmarks.simulated_free import FreeTrials

STALE_SECONDS = 60.0

# When trials that were passed over, held or lost since are looked for: by a rank that comes to the end of its
# job's list; by a job whose ranks all have; by a rank whenever it takes one.
Look = Literal["rank at the end", "job at the end", "always"]


class Span(NamedTuple):
    """A stretch of training without a break, and how much of it was lost and done again."""

    trial: int
    rank: int
    start: float
    end: float
    lost: float


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    spans: Sequence[Span]
    deaths: int
    jobs_lost: int
    idle_seconds: float  # of ranks, while there was a free trial for each of them
    looks: int  # at trials, to find one that is free

    @property
    def makespan(self) -> float:
        """Return when the last trial ended."""
        return max(span.end for span in self.spans)

    @property
    def redone_seconds(self) -> float:
        """Return the training that was done twice."""
        return math.fsum(span.lost for span in self.spans)

    @property
    def set_back(self) -> int:
        """Count the trials of which a part was trained twice."""
        return len({span.trial for span in self.spans if span.lost})


@dataclass
class _Job:
    """A job's ranks, and its list: the trials from `place` on that were free at `since`."""

    ranks: range
    up_at: float = 0.0
    place: int = 0
    since: float = 0.0


class _Run:
    def __init__(self, work: Sequence[Work], fleet: Fleet, look: Look) -> None:
        per_job, ranks = fleet.ranks_per_job, fleet.jobs * fleet.ranks_per_job
        self.work, self.look, self.now = work, look, 0.0
        self.jobs = [_Job(range(first, first + per_job)) for first in range(0, ranks, per_job)]
        self.job_of = [job for job in self.jobs for _ in job.ranks]
        self.free, self.left = FreeTrials(len(work)), len(work)
        self.kept = [0.0] * len(work)  # of each trial's seconds, those that need not be done again
        self.trial_of: list[int | None] = [None] * ranks
        self.began: dict[int, float] = {}  # the ranks that train
        self.idle: set[int] = set()
        self.spans: list[Span] = []
        self.deaths = self.jobs_lost = 0
        self.idle_seconds, self.looks = 0.0, 0
        self._numbers = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        for loss in fleet.losses:
            self._at(loss.at, partial(self._lose, loss))

    def to_the_end(self) -> None:
        """Let time pass until all trials have ended; raise RuntimeError where all jobs are lost before."""
        for rank in range(len(self.job_of)):
            self._take(rank)
        while self.left:
            if not self._events:
                raise RuntimeError(f"all jobs are lost with {self.left} trials left")
            time, _, happens = heapq.heappop(self._events)
            self.idle_seconds += (time - self.now) * min(len(self.idle), self.free.count)
            self.now = time
            happens()

    def _at(self, time: float, happens: Callable[[], None]) -> None:
        heapq.heappush(self._events, (time, next(self._numbers), happens))

    def _take(self, rank: int) -> None:
        """Let a rank that has no trial train the next one, or be idle."""
        job = self.job_of[rank]
        if self.look == "always":
            self._renew(job)
        trial = self._next(job)
        if trial is None and self.free.count and self.look == "rank at the end":
            self._renew(job)
            trial = self._next(job)
        if trial is not None:
            self.idle.discard(rank)
            self.free.take(trial, self.now)
            self._train(rank, trial)
            return
        self.idle.add(rank)
        if self.look == "job at the end":
            self._begin_list(job)

    def _next(self, job: _Job) -> int | None:
        """Go on in the job's list to a trial that is free, or to its end."""
        trial = self.free.first(job.place, job.since)
        passed = len(self.work) if trial is None else trial + 1
        self.looks += passed - job.place
        job.place = passed
        return trial

    def _renew(self, job: _Job) -> None:
        """Let the job's list be all that is free now."""
        job.place, job.since = 0, self.now

    def _begin_list(self, job: _Job) -> None:
        """Let a job whose ranks are all idle look again, if there is something to see."""
        if self.free.count and self.idle.issuperset(job.ranks):
            self._renew(job)
            for rank in job.ranks:
                self._take(rank)

    def _train(self, rank: int, trial: int) -> None:
        self.trial_of[rank], self.began[rank] = trial, self.now
        end = self.now + self.work[trial].seconds - self.kept[trial]
        self._at(end, partial(self._end, rank, trial, self.now))

    def _end(self, rank: int, trial: int, began: float) -> None:
        if self.trial_of[rank] == trial and self.began.get(rank) == began:  # else it was interrupted
            self._stop(rank, 0.0)
            self.trial_of[rank] = None
            self.left -= 1
            self._take(rank)

    def _stop(self, rank: int, lost: float) -> None:
        """End a span of training of which so much is lost."""
        trial, began = self.trial_of[rank], self.began.pop(rank)
        assert trial is not None
        self.spans.append(Span(trial, rank, began, self.now, lost))
        self.kept[trial] += self.now - began - lost

    def _lose(self, loss: Loss) -> None:
        """Interrupt a job: what its ranks train is saved, but by the one that died, or by none of them."""
        job = self.job_of[loss.rank]
        if job.up_at == math.inf:
            return
        self.deaths += 1
        self.idle.difference_update(job.ranks)
        for rank in job.ranks:
            if rank in self.began:
                self._stop(rank, self._unsaved(rank) if loss.is_final or rank == loss.rank else 0.0)
        if loss.is_final:
            self.jobs_lost += 1
            job.up_at = math.inf
            self._at(self.now + STALE_SECONDS, partial(self._give_back, job))
        else:
            job.up_at = self.now + RESTART_SECONDS
            self._at(job.up_at, partial(self._start_again, job))

    def _unsaved(self, rank: int) -> float:
        """Return how much a rank has trained since its trial was last saved, by a checkpoint or a stop."""
        trial = self.trial_of[rank]
        assert trial is not None
        began, each = self.kept[trial], self.work[trial].checkpoint_seconds
        done = began + self.now - self.began[rank]
        return done - max(began, math.floor(done / each) * each)

    def _start_again(self, job: _Job) -> None:
        if job.up_at == self.now:  # else it was lost again meanwhile
            self._renew(job)
            for rank in job.ranks:
                trial = self.trial_of[rank]
                if trial is None:
                    self._take(rank)
                else:
                    self._train(rank, trial)

    def _give_back(self, job: _Job) -> None:
        """Let others have the trials of a lost job, and those who have nothing to do take them."""
        for rank in job.ranks:
            trial, self.trial_of[rank] = self.trial_of[rank], None
            if trial is not None:
                self.free.put_back(trial, self.now)
        if self.look == "job at the end":
            for each in self.jobs:
                self._begin_list(each)
        else:
            for rank in sorted(self.idle):
                self._take(rank)


def simulate(work: Sequence[Work], fleet: Fleet, look: Look) -> Outcome:
    """Train all trials in the order of `work`; raise RuntimeError where all jobs are lost before."""
    run = _Run(work, fleet, look)
    run.to_the_end()
    return Outcome(run.spans, run.deaths, run.jobs_lost, run.idle_seconds, run.looks)
