"""Part `leak`: trials leave no memory behind."""

from __future__ import annotations

from collections.abc import Callable

from tests.gpu.card import EXP_2, Card
from tests.gpu.facts import Facts
from tests.gpu.training import train_all

_EACH_EPOCH = {"name": "ExponentialLR", "gamma": 0.9}


def leak(card: Card, facts: Facts) -> None:
    """Look at a card's memory after each of ten trials, and after each of three times four at once."""

    def trained(seeds: range) -> None:
        trials = [card.trial(EXP_2, "fp32", seed, epochs=3, scheduler=_EACH_EPOCH) for seed in seeds]
        train_all(trials, data, card.alone, "graph")

    at_once = card.either(4, 2)
    data = card.data(card.trial(EXP_2, "fp32"), train=1500)
    _grows(card, facts, "one after another", card.either(10, 2), lambda seed: trained(range(seed, seed + 1)))
    _grows(
        card,
        facts,
        f"{at_once} at once",
        card.either(3, 1),
        lambda seed: trained(range(seed, seed + at_once)),
    )


def _grows(card: Card, facts: Facts, name: str, times: int, work: Callable[[int], None]) -> None:
    allocated, reserved = [], []
    for number in range(times):
        work(number)
        allocated.append(card.allocated_mib())
        reserved.append(card.reserved_mib())
    for what, found in {"allocated": allocated, "reserved": reserved}.items():
        # The first may take what stays for as long as the process lives: handles, workspaces.
        is_steady = found[-1] <= found[:2][-1] + 1
        facts.check(f"MiB {what} after each, {name}", [round(each) for each in found], is_steady)
