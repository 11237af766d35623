"""What a simulated run trains: made-up suites of uneven trials, and the orders to start them in."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.simulated_fleet import HOUR, Work
from harness.results.estimates import starting_order

LONG_HOURS = 7


@dataclass(frozen=True)
class Suite:
    """Trials as a suite lists them: what each takes, and its kind."""

    work: Sequence[Work]
    kind_of: Sequence[int]
    kinds: Sequence[tuple[int, float]]  # epochs, and the seconds of one

    def longest_first(self, guess: Callable[[float], float | None]) -> list[int]:
        """Return the order in which the harness starts them, where this is what it knows of a kind's pace."""
        paces = [guess(seconds) for _, seconds in self.kinds]
        known = [None if pace is None else pace * n for pace, (n, _) in zip(paces, self.kinds, strict=True)]
        estimates = [known[kind] for kind in self.kind_of]
        return starting_order(estimates, [self.kinds[kind][0] for kind in self.kind_of])


def made_up(experiments: int, seeds: int, seed: int) -> Suite:
    """Return uneven experiments in any order; those of some seeds of the last take hours."""
    chance = random.Random(f"suite {seed}")
    kinds = [
        (chance.choice((10, 20, 50, 100)), chance.lognormvariate(math.log(25), 0.6))
        for _ in range(experiments)
    ]
    kinds.append((50, LONG_HOURS * HOUR / 50))
    counts = [*[seeds] * (experiments - 1), seeds - seeds // 5, seeds // 5]
    rows = list(enumerate(counts))
    chance.shuffle(rows)
    kind_of = [kind for kind, count in rows for _ in range(count)]
    paces = [kinds[kind][1] * chance.lognormvariate(0, 0.05) for kind in kind_of]
    work = [Work(kinds[kind][0] * pace, min(pace, 300.0)) for kind, pace in zip(kind_of, paces, strict=True)]
    return Suite(work, kind_of, kinds)


def orders(suite: Suite, seed: int) -> Iterator[tuple[str, list[int]]]:
    """Yield every way to order the trials, by its name."""
    chance = random.Random(f"orders {seed}")
    yield "longest first, times known", suite.longest_first(lambda pace: pace)
    yield (
        "longest first, known within a factor of 2",
        suite.longest_first(lambda pace: pace * 2 ** chance.uniform(-1, 1)),
    )
    for share, name in ((0.1, "one kind in ten"), (0.5, "one kind in two")):
        yield (
            f"longest first, {name} unknown",
            suite.longest_first(
                lambda pace, share=share: None if chance.random() < share else pace  # type: ignore[misc]
            ),
        )
    yield "nothing known: most epochs first", suite.longest_first(lambda pace: None)
    places = list(range(len(suite.work)))
    yield "as the suite lists them", places
    yield "at random", chance.sample(places, len(places))
