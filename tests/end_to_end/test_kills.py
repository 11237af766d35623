"""Kills in the midst of what a run writes, and starts at the same instant: a few of what is drilled by
hundreds in benchmarks/kills.py and starts.py."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmarks.kill_case import Case, cases, environment
from benchmarks.kill_checks import Tally
from benchmarks.kill_round import Round
from benchmarks.starts import Pairs
from tests.support.fault_hook.drill import Hit, Order
from tests.support.forks import Forked

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
    pytest.mark.usefixtures("_forked"),
]

ORDERS = [
    Order(1, "claim", "middle", "a rank"),
    Order(2, "evaluate", "after", "another rank"),
    Order(3, "any", "before", "launcher"),
    Order(4, "checkpoint", "middle", "all ranks"),
    Order(5, "attempt", "named", "a rank"),
    Order(6, "record", "whole", "launcher and ranks"),
]


@pytest.fixture
def _forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the runs, which the benchmarks start anew."""

    def start(case: Case, folder: Path, ranks: int, log: Path, *, hook: bool = True) -> Forked:
        env = environment(folder if hook else None)
        with log.open("wb") as file:
            return Forked(case.command(ranks), file.fileno(), env=env, folder=folder)

    monkeypatch.setattr(Case, "start", start)


@dataclass
class Script:
    """Gives orders one after another, each until it was carried out."""

    orders: list[Order]
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    hits: list[Hit] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return len(self.hits) == len(self.orders)

    def next_order(self, *, after_death: bool) -> Order:
        return self.orders[len(self.hits)]


def test_nothing_is_lost_wherever_a_run_is_killed(tmp_path: Path) -> None:
    (case,) = (case for case in cases() if case.name == "ddp, fp32")
    expected = case.figures(tmp_path / "undisturbed")
    plan, tally = Script(ORDERS), Tally()
    for number in range(len(ORDERS)):
        if plan.is_over:
            break
        Round(case, expected, tmp_path / f"round-{number}", plan, tally).run()
    assert [hit.order for hit in plan.hits] == ORDERS
    assert not tally.faults
    assert tally.starts["went on after an epoch"]
    assert not tally.leftovers


def test_two_runs_that_start_at_once_share_the_trials(tmp_path: Path) -> None:
    pairs = Pairs(tmp_path)
    for meet in (False, True):
        pairs.start(meet=meet)
    assert not pairs.tally.faults
    assert not pairs.tally.leftovers
    assert (pairs.met, pairs.tally.exact) == (1, 8)
