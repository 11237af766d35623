"""Placement: how to execute the remaining trials, chosen by a rule or by measured epoch times."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from harness.results.record import EngineName, Placement
from harness.strict import Strict

RequestedPlacement = Literal["auto", "ddp", "spread"]


class Execution(Strict):
    """Placement of trials on ranks, the engine of their steps, and how many share a device at once.

    `engine` is None for the device's default: graphs on a GPU, eager on a CPU.
    """

    placement: Placement
    engine: EngineName | None = None
    trials_per_device: Annotated[int, Field(ge=1)] = 1

    def __str__(self) -> str:
        at_once = f", {self.trials_per_device} trials a device" if self.trials_per_device > 1 else ""
        return f"{self.placement}{f', {self.engine}' if self.engine else ''}{at_once}"

    def slots(self, ranks: int) -> int:
        """Return how many trials run at once."""
        return ranks * self.trials_per_device if self.placement == "spread" else 1


# Seconds of each trial, in the order in which they start, under each measured execution.
TrialSeconds = Mapping[Execution, Sequence[float]]

TRIALS_PER_DEVICE = (1, 2, 3, 4, 8, 16)  # on a GPU, the numbers worth measuring


def widths(trials: int, ranks: int) -> list[int]:
    """List the numbers of trials at once to try on each of `ranks` GPUs if `trials` are left in all.

    None exceeds a GPU's share of the trials; the share itself, or 16 if it is larger, is one of them.
    """
    share = min(-(-trials // ranks), TRIALS_PER_DEVICE[-1])
    return sorted({width for width in TRIALS_PER_DEVICE if width <= share} | {share})


class Choice(Strict):
    """Execution of the first `trials` of the remaining trials, and the reason for it."""

    execution: Execution
    trials: int
    reason: str


def by_rule(
    requested: RequestedPlacement,
    engine: EngineName | None,
    trials_per_device: int,
    remaining: int,
    ranks: int,
    speedup: float | None = None,
) -> Choice:
    """Choose without measurements: as requested; else ddp on one rank, spread on several.

    Trials that are fewer than the ranks, also the last ones of a spread, are trained by ddp if that ends
    sooner.

    `speedup` is the estimated speed of all ranks together on one trial, in multiples of one rank's; None if
    unknown.
    """
    trials, of_ranks = _counted(remaining, "trial"), _counted(ranks, "rank")
    count = remaining
    if requested != "auto":
        placement, reason = requested, f"as asked ({trials}, {of_ranks})"
    elif trials_per_device > 1:
        placement, reason = "spread", f"because {trials_per_device} trials a device were asked for"
    elif ranks == 1:
        placement, reason = "ddp", f"because there is one rank ({trials})"
    elif remaining >= ranks:
        placement, reason = "spread", f"because {trials} remain for {of_ranks}"
        if _pays(speedup, remaining % ranks):
            count = remaining // ranks * ranks
    else:
        placement = "ddp" if _pays(speedup, remaining) else "spread"
        reason = f"because {_remainder(remaining, ranks, speedup)}"
    at_once = trials_per_device if placement == "spread" else 1
    execution = Execution(placement=placement, engine=engine, trials_per_device=at_once)
    return Choice(execution=execution, trials=count, reason=f"placement: {execution}, {reason}")


def _pays(speedup: float | None, trials: int) -> bool:
    """Return whether so few trials end sooner by ddp, one after another, than each on a rank of its own."""
    return speedup is not None and speedup > trials > 0


def _remainder(trials: int, ranks: int, speedup: float | None) -> str:
    """Return the reason for the placement of fewer trials than ranks, in words."""
    fewer = (
        f"{_counted(trials, 'trial')} {'is' if trials == 1 else 'are'} fewer than {_counted(ranks, 'rank')}"
    )
    if speedup is None:
        return f"{fewer}, and it is not known whether ddp is faster"
    return f"{fewer}, and ddp is estimated to train one at least {speedup:.2f} times as fast as a rank alone"


def by_pace(seconds: TrialSeconds, ranks: int) -> Choice:
    """Choose the fastest by measurement: one execution, or another one for the last, partly filled round."""
    plans = sorted(
        (_seconds(seconds, execution, count, ranks), str(execution), -count, execution)
        for execution, times in seconds.items()
        for count in {len(times), len(times) - len(times) % execution.slots(ranks)}
        if count
    )
    best_seconds, _, negated, execution = plans[0]
    others = [(each, name) for each, name, *_ in plans if name != str(execution)]
    than = f", measured {others[0][0] / best_seconds:.2f} times as fast as {others[0][1]}" if others else ""
    remaining = _counted(len(seconds[execution]), "trial")
    return Choice(
        execution=execution,
        trials=-negated,
        reason=f"placement: {execution}{than} ({remaining}, {_counted(ranks, 'rank')})",
    )


def _seconds(seconds: TrialSeconds, execution: Execution, count: int, ranks: int) -> float:
    """Return the makespan with the first `count` trials executed so and the rest by the best execution."""
    first = makespan(seconds[execution][:count], execution.slots(ranks))
    rest = [makespan(times[count:], other.slots(ranks)) for other, times in seconds.items()]
    return first + min(rest)


def makespan(seconds: Sequence[float], slots: int) -> float:
    """Return when the last trial ends if each starts, in order, in the slot that is free first."""
    free_at = [0.0] * slots
    for each in seconds:
        heapq.heapreplace(free_at, free_at[0] + each)
    return max(free_at)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
