"""How trials are executed, and which way ends first: by a rule, or by paces that were measured."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from harness.record import EngineName, Placement
from harness.settings import Strict

PlacementChoice = Literal["auto", "ddp", "spread"]


class Execution(Strict):
    """Say how trials meet ranks, how their steps are executed, and how many share a device at once.

    `engine` is None where the device's own is taken: graphs on a GPU, eager on a CPU.
    """

    placement: Placement
    engine: EngineName | None = None
    trials_per_device: Annotated[int, Field(ge=1)] = 1

    def __str__(self) -> str:
        at_once = f", {self.trials_per_device} trials a device" if self.trials_per_device > 1 else ""
        return f"{self.placement}{f', {self.engine}' if self.engine else ''}{at_once}"

    def slots(self, ranks: int) -> int:
        """Return how many trials are under way at once."""
        return ranks * self.trials_per_device if self.placement == "spread" else 1


# Seconds that each trial takes, in the order in which they start, under each execution that was measured.
TrialSeconds = Mapping[Execution, Sequence[float]]

TRIALS_PER_DEVICE = (1, 2, 4, 8)  # on a GPU, what is worth measuring


class Choice(Strict):
    """Say how the first `trials` of those that are left are executed, and why."""

    execution: Execution
    trials: int
    reason: str


def by_rule(
    requested: PlacementChoice, engine: EngineName | None, trials_per_device: int, remaining: int, ranks: int
) -> Choice:
    """Choose without measuring: spread while there is a trial for every rank, then all ranks on one."""
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
        count = remaining // ranks * ranks  # what is left then is too few to spread
    else:
        placement, reason = (
            "ddp",
            f"because {trials} {'is' if remaining == 1 else 'are'} fewer than {of_ranks}",
        )
    at_once = trials_per_device if placement == "spread" else 1
    execution = Execution(placement=placement, engine=engine, trials_per_device=at_once)
    return Choice(execution=execution, trials=count, reason=f"placement: {execution}, {reason}")


def by_pace(seconds: TrialSeconds, ranks: int) -> Choice:
    """Choose what ends first, as measured: one execution for all, or another for those that fill no slots."""
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
    """Return when all ends if the first `count` trials are executed so and the others the best single way."""
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
