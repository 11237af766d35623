"""Which kill comes next: at random, until there are enough of them in every place."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from tests.support.fault_hook.drill import Hit, Moment, Order, Place, Victim

PLACES: tuple[Place, ...] = ("record", "checkpoint", "claim", "evaluate")
MOMENTS: tuple[Moment, ...] = ("before", "middle", "whole", "named", "after")
VICTIMS: dict[Victim, int] = {
    "a rank": 8,
    "another rank": 2,
    "all ranks": 4,
    "launcher": 3,
    "launcher and ranks": 3,
}


class Chooser(Protocol):
    """Says which kill comes next; `hits` are those that were carried out."""

    hits: list[Hit]
    chance: random.Random

    @property
    def is_over(self) -> bool:
        """Tell whether there were enough kills."""

    def next_order(self, *, after_death: bool) -> Order:
        """Choose the next kill."""


@dataclass
class Plan:
    """Chooses kills until there were so many, and so many `inside` each of the places.

    Inside means that the process which wrote or evaluated was itself killed in the midst of it.
    """

    kills: int
    inside: int
    chance: random.Random
    hits: list[Hit] = field(default_factory=list)
    orders: int = 0

    @property
    def is_over(self) -> bool:
        """Tell whether there were enough kills."""
        return len(self.hits) >= self.kills and not any(self._lacking(place) for place in PLACES)

    def next_order(self, *, after_death: bool) -> Order:
        """Choose the next kill; only after the death of a rank an attempt is going to be recorded."""
        lacking: dict[Place, int] = {place: self._lacking(place) for place in PLACES}
        attempts = max(0, self.inside // 2 - self._inside("attempt"))
        lacking["any"] = max(0, self.kills - len(self.hits) - sum(lacking.values()) - attempts)
        lacking["attempt"] = 2 * attempts if after_death else 0
        if not any(lacking.values()):
            lacking["any"] = 1
        (place,) = self.chance.choices(list(lacking), list(lacking.values()))
        (victim,) = self.chance.choices(list(VICTIMS), list(VICTIMS.values()))
        if victim == "another rank" and place == "any":
            victim = "a rank"
        moments: tuple[Moment, ...] = ("before", "after") if place == "evaluate" else MOMENTS
        if victim == "another rank":  # this one goes on, with the whole file
            moments = tuple(moment for moment in moments if moment != "middle")
        self.orders += 1
        return Order(self.orders, place, self.chance.choice(moments), victim)

    def counts(self) -> Counter[tuple[Place, Victim]]:
        """Count the kills by place and victim."""
        return Counter((hit.order.place, hit.order.victim) for hit in self.hits)

    def _inside(self, place: Place) -> int:
        return sum(hit.order.place == place and hit.is_inside for hit in self.hits)

    def _lacking(self, place: Place) -> int:
        return max(0, self.inside - self._inside(place))
