"""The simulated run: every trial is done once, no rank idles in vain, no order beats the bound."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

import pytest

from benchmarks import simulation
from benchmarks.simulated_fleet import Fleet, Loss, Work, lower_bound, mortal
from benchmarks.simulated_run import STALE_SECONDS, Look, Outcome, Span, simulate
from benchmarks.simulated_suite import made_up, orders

LOOKS: list[Look] = ["job at the end", "rank at the end", "always"]
JOBS, RANKS = 5, 3


def small(seed: int) -> tuple[list[Work], Fleet]:
    """Return some hundred trials of up to hours, and jobs of which half are lost and all have deaths."""
    chance = random.Random(seed)
    work = [Work(chance.lognormvariate(6, 1.5), chance.choice((7.0, 60.0, 300.0))) for _ in range(300)]
    work.sort(key=lambda each: -each.seconds)
    ends = math.fsum(each.seconds for each in work) / JOBS / RANKS
    losses = [Loss(chance.uniform(0, ends), chance.randrange(JOBS * RANKS)) for _ in range(40)]
    losses += [Loss(losses[0].at + 5, losses[0].rank), Loss(losses[1].at + 5, losses[1].rank, is_final=True)]
    losses += [Loss(ends / 2, (losses[1].rank + RANKS) % (JOBS * RANKS), is_final=True)]
    return work, Fleet(JOBS, RANKS, losses)


def uptimes(fleet: Fleet, rank: int) -> list[tuple[float, float]]:
    """Return when the rank's job is up."""
    job = rank // RANKS
    its = [Loss(loss.at, 0, loss.is_final) for loss in fleet.losses if loss.rank // RANKS == job]
    return list(Fleet(1, RANKS, its).uptimes())


def of(spans: Sequence[Span], **key: int) -> list[Span]:
    ((name, value),) = key.items()
    return sorted((span for span in spans if getattr(span, name) == value), key=lambda span: span.start)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("seed", range(5))
def test_every_trial_is_done_once_and_whole(look: Look, seed: int) -> None:
    work, fleet = small(seed)
    outcome = simulate(work, fleet, look)
    assert outcome.deaths > 20
    assert outcome.jobs_lost == 2
    for trial, each in enumerate(work):
        spans = of(outcome.spans, trial=trial)
        assert all(before.end <= after.start for before, after in itertools.pairwise(spans))
        assert math.fsum(span.end - span.start - span.lost for span in spans) == pytest.approx(each.seconds)
        assert all(span.lost <= each.checkpoint_seconds + 1e-6 for span in spans)
        assert spans[-1].lost == 0


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("seed", range(5))
def test_ranks_train_one_trial_at_a_time_and_while_they_are_up(look: Look, seed: int) -> None:
    work, fleet = small(seed)
    outcome = simulate(work, fleet, look)
    for rank in range(JOBS * RANKS):
        spans = of(outcome.spans, rank=rank)
        assert all(before.end <= after.start for before, after in itertools.pairwise(spans))
        up = uptimes(fleet, rank)
        assert all(any(start <= span.start and span.end <= end for start, end in up) for span in spans)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("seed", range(5))
def test_no_order_ends_before_the_bound(look: Look, seed: int) -> None:
    work, fleet = small(seed)
    bound = lower_bound(work, fleet)
    for order in (work, work[::-1], random.Random(seed).sample(work, len(work))):
        assert simulate(order, fleet, look).makespan >= bound


def idle_in_vain(work: Sequence[Work], fleet: Fleet, outcome: Outcome) -> float:
    """Integrate the lesser of idle ranks and free trials over the run, from its spans alone."""
    changes: list[tuple[float, int, int]] = []  # when; how many more ranks are idle, and trials free
    ends = outcome.makespan
    for rank in range(JOBS * RANKS):
        for start, end in uptimes(fleet, rank):
            if start < ends:
                changes += [(start, 1, 0), (min(end, ends), -1, 0)]
    for span in outcome.spans:
        changes += [(span.start, -1, 0), (span.end, 1, 0)]
    final = {loss.at for loss in fleet.losses if loss.is_final}
    for trial in range(len(work)):
        spans = of(outcome.spans, trial=trial)
        changes += [(0.0, 0, 1), (spans[0].start, 0, -1)]
        for before, after in itertools.pairwise(spans):
            if before.end in final:
                changes += [(before.end + STALE_SECONDS, 0, 1), (after.start, 0, -1)]
    total, at, idle, free = 0.0, 0.0, 0, 0
    for time, ranks, trials in sorted(changes):
        total += min(idle, free) * (time - at)
        at, idle, free = time, idle + ranks, free + trials
    return total


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("seed", range(5))
def test_no_rank_is_idle_while_a_trial_is_free(look: Look, seed: int) -> None:
    work, fleet = small(seed)
    outcome = simulate(work, fleet, look)
    assert outcome.idle_seconds == pytest.approx(idle_in_vain(work, fleet, outcome), abs=1e-6)
    if look != "job at the end":  # there a job's ranks wait for each other, and this is how long
        assert outcome.idle_seconds == 0


def test_a_death_costs_what_was_not_saved_and_a_start() -> None:
    work = [Work(100.0, 30.0), Work(100.0, 30.0)]
    outcome = simulate(work, Fleet(1, 2, [Loss(50.0, 1)]), "job at the end")
    assert sorted(span.end for span in outcome.spans) == [50.0, 50.0, 110.0, 130.0]
    assert (outcome.deaths, outcome.set_back, outcome.redone_seconds) == (1, 1, 20.0)


def test_a_lost_job_s_trial_is_taken_over_after_silence() -> None:
    outcome = simulate([Work(100.0, 30.0)] * 2, Fleet(2, 1, [Loss(50.0, 0, is_final=True)]), "job at the end")
    assert outcome.spans[-1] == Span(trial=0, rank=1, start=110.0, end=180.0, lost=0.0)
    assert outcome.jobs_lost == 1


def test_a_rank_waits_for_its_job_before_it_looks_again() -> None:
    work = [Work(seconds, 30.0) for seconds in (300.0, 200.0, 300.0, 40.0)]
    fleet = Fleet(2, 2, [Loss(10.0, 0, is_final=True)])  # two trials are free at 70, when rank 3 has none
    late, early = simulate(work, fleet, "job at the end"), simulate(work, fleet, "rank at the end")
    assert (late.makespan, late.idle_seconds) == (600.0, 230.0)
    assert (early.makespan, early.idle_seconds) == (500.0, 0.0)


def test_the_bound_counts_what_is_up_only() -> None:
    work = [Work(100.0, 30.0)] * 6
    assert lower_bound(work, Fleet(2, 1)) == 300
    assert lower_bound(work, Fleet(2, 1, [Loss(40.0, 0)])) == 305
    assert lower_bound(work, Fleet(2, 1, [Loss(40.0, 0, is_final=True)])) == 560
    assert lower_bound([*work, Work(1000.0, 30.0)], Fleet(20, 1)) == 1000


def test_when_all_jobs_are_lost_nothing_ends() -> None:
    fleet = Fleet(1, 1, [Loss(5.0, 0, is_final=True)])
    assert lower_bound([Work(10.0, 1.0)], fleet) == math.inf
    with pytest.raises(RuntimeError, match="all jobs are lost with 1 trials left"):
        simulate([Work(10.0, 1.0)], fleet, "always")


def test_suites_and_deaths_come_out_the_same_again() -> None:
    suite = made_up(10, 5, seed=1)
    assert suite == made_up(10, 5, seed=1)
    assert suite != made_up(10, 5, seed=2)
    assert len(suite.work) == 50
    assert mortal(4, 2, 1e6, seed=1) == mortal(4, 2, 1e6, seed=1)
    assert all(sorted(order) == list(range(50)) for _, order in orders(suite, seed=1))


def test_the_page_has_a_row_for_each_order_and_way_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"JOBS": 4, "RANKS_PER_JOB": 2, "EXPERIMENTS": 20, "SEEDS": 10}.items():
        monkeypatch.setattr(simulation, name, value)
    text = simulation.page(*simulation.simulated(2))
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + 7 + 2 + 3
    assert "200 trials on 8 ranks" in text
