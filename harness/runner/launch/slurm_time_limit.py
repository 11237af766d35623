"""Default time limit of a SLURM job, estimated from the trials that are left and earlier timings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from harness.config.suite import Suite, Trial
from harness.data import cache_folder
from harness.formatting import duration
from harness.results.estimates import PlannedTrial, plan
from harness.results.store import Store, to_train
from harness.runner.launch.slurm_options import SlurmOptions
from harness.runner.timing_cache import TimingCache


def pending(
    store: Store,
    suites: Iterable[Suite],
    trials: Iterable[Trial],
    env: Mapping[str, str],
    *,
    retry_diverged: bool,
) -> list[PlannedTrial]:
    """List the trials that are to be trained, with estimates of their time."""
    keys = {trial.key for trial in trials}
    wanted = to_train(retry_diverged=retry_diverged)
    paces = TimingCache(cache_folder(env) / "paces").latest()
    planned = [each for suite in suites for each in plan(store, suite, paces)]
    return [each for each in planned if each.trial.key in keys and each.state in wanted]


def with_time(
    options: SlurmOptions, planned: Iterable[PlannedTrial], jobs: int
) -> tuple[SlurmOptions, str | None]:
    """Add a time limit if none was given; return the options, and a message about it.

    The limit is twice each rank's share of the work plus ten minutes, in steps of five.
    """
    if options.time:
        return options, None
    seconds = [each.seconds for each in planned]
    known = [each for each in seconds if each is not None]
    if len(known) < len(seconds):
        return options, "--time is left out: no timing is known yet"
    ranks = options.ranks * jobs
    minutes = 5 * math.ceil((2 * sum(known) / ranks / 60 + 10) / 5)
    said = (
        f"--time {minutes}, in minutes: estimates are {duration(sum(known))} on one rank, for {ranks} in all"
    )
    return options.model_copy(update={"time": str(minutes)}), said
