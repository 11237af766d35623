"""What a run does about trials that other runs hold: it waits, takes over, or leaves them."""

from __future__ import annotations

from pathlib import Path

from harness.config.suite import Trial
from harness.results.lease_owner import LeaseOwner, this_process
from harness.runner.scheduler import Phase
from tests.support.records import SUITE, record_of
from tests.support.scheduled_run import Run

JOB = {"SLURM_JOB_ID": "17"}
OTHER = this_process("another", [0, 0], JOB).model_copy(update={"host": "n1", "process": 5})


def test_who_waits_for_others_first_seeds_trains_those_that_they_call_for(tmp_path: Path) -> None:
    text = SUITE.partition("  two:")[0].replace(
        "seeds: 3", "seeds: {half_width_points: 1, at_least: 2, at_most: 4}"
    )
    run = Run(tmp_path, text, calibrate=False, stale_seconds=0.01)
    other = this_process("other", [0, 0], {})
    first = list(run.trials.values())[:2]
    run.held = {trial.key: other for trial in first}

    def is_open(trial: Trial) -> bool:
        """Let the other run end its trials once this one waits for them."""
        for each, accuracy in zip(first, (0.7, 0.9), strict=True):
            if run.said and each.key in run.held:
                del run.held[each.key]
                run.request.store.save(each, record_of(each, accuracy))
        return run.is_open(trial)

    run.scheduler.is_open = is_open
    assert [run.trials[key].seed for key in run.next().trials] == [3, 4]


def test_trials_that_others_hold_are_left_to_them_until_they_are_free(tmp_path: Path) -> None:
    run = Run(tmp_path, calibrate=False, stale_seconds=0.1)
    first, *rest = run.trials
    run.held = dict.fromkeys(rest, OTHER)
    assert run.next().trials == [first]
    looks = iter(range(3))

    def owner(trial: Trial) -> LeaseOwner | None:
        return run.held.get(trial.key) if trial.key != rest[0] or next(looks, None) is not None else None

    run.owner = owner  # type: ignore[method-assign]
    run.deaths = {rest[0]: "token"}
    phase = run.next()
    assert (phase.trials, phase.dead) == ([rest[0]], {rest[0]: "token"})
    assert "5 of the trials left are being trained by job 17, process 5 on n1: waiting" in run.said


def test_a_run_that_does_not_wait_leaves_others_what_they_hold(tmp_path: Path) -> None:
    run = Run(tmp_path, calibrate=False, stale_seconds=0.1, wait=False)
    run.held = dict.fromkeys(run.trials, OTHER)
    assert run.next() == Phase(work="end")
    assert run.said == ["6 of the trials left are being trained by job 17, process 5 on n1"]


def test_a_run_that_is_to_stop_waits_for_nobody(tmp_path: Path) -> None:
    run = Run(tmp_path, calibrate=False)
    run.held, run.stopping = dict.fromkeys(run.trials, OTHER), True
    assert run.next() == Phase(work="end")
