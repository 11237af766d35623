"""Where a simulated run trains: jobs of ranks that die; and the time that no order can beat."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

HOUR = 3600.0
RESTART_SECONDS = 10.0
DEATH_HOURS, LOSS_HOURS = 150, 400  # between the deaths of one rank, and before one job is lost


@dataclass(frozen=True)
class Work:
    """How long a trial trains, and how much of that lies between its checkpoints."""

    seconds: float
    checkpoint_seconds: float


@dataclass(frozen=True, order=True)
class Loss:
    """A rank that dies, and starts again with its whole job, or takes it along for ever."""

    at: float
    rank: int
    is_final: bool = False


@dataclass(frozen=True)
class Fleet:
    """Jobs of equally many ranks, and what they lose."""

    jobs: int
    ranks_per_job: int
    losses: Sequence[Loss] = ()

    def uptimes(self) -> Iterator[tuple[float, float]]:
        """Yield from when to when a job's ranks can train, for all jobs in any order."""
        since = [0.0] * self.jobs
        for loss in sorted(self.losses):
            job = loss.rank // self.ranks_per_job
            if since[job] < loss.at:
                yield since[job], loss.at
            if since[job] < math.inf:
                since[job] = math.inf if loss.is_final else loss.at + RESTART_SECONDS
        yield from ((start, math.inf) for start in since if start < math.inf)


def mortal(jobs: int, ranks_per_job: int, until: float, seed: int, often: float = 1.0) -> Fleet:
    """Return jobs whose ranks die, and which are lost, at random moments, `often` times as often as usual."""
    chance, losses = random.Random(f"losses {seed}"), []
    for number, hours, is_final in ((jobs * ranks_per_job, DEATH_HOURS, False), (jobs, LOSS_HOURS, True)):
        at = chance.expovariate(1.0)
        while often and (moment := at * hours * HOUR / number / often) < until:
            losses.append(Loss(moment, chance.randrange(jobs * ranks_per_job), is_final))
            at += chance.expovariate(1.0)
    return Fleet(jobs, ranks_per_job, losses)


def lower_bound(work: Sequence[Work], fleet: Fleet) -> float:
    """Return a time before which no order can end: all ranks that are up busy, or the longest trial."""
    uptimes = list(fleet.uptimes())
    changes = [(start, fleet.ranks_per_job) for start, _ in uptimes]
    changes += [(end, -fleet.ranks_per_job) for _, end in uptimes if end < math.inf]
    left, at, ranks = math.fsum(each.seconds for each in work), 0.0, 0
    for time, change in sorted(changes):
        if left <= ranks * (time - at):
            break
        left -= ranks * (time - at)
        at, ranks = time, ranks + change
    return max(at + left / ranks if ranks else math.inf, *(each.seconds for each in work))
