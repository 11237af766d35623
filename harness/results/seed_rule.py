"""Adaptive number of seeds: how many the results so far require under a seed rule (Stein's two stages)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.config.suite import Suite, Trial
from harness.results.epoch_rule import reported_epoch
from harness.results.store import Store
from harness.stats import stein_size


@dataclass(frozen=True)
class Decision:
    """The number of a suite's seeds, in order, with which an experiment is trained.

    `deciding` is how many values decided it, None while it is open or if the suite lists its seeds; `needed`
    is what the rule asks for before its cap.
    """

    seeds: int
    deciding: int | None = None
    needed: int | None = None


def decide(store: Store, suite: Suite, trials: Sequence[Trial]) -> Decision:
    """Decide for one experiment, given its trials in the order of seeds.

    The decision stays open until each of the first seeds is done or has diverged, and two of them are done.
    """
    rule = suite.seed_rule
    if rule is None:
        return Decision(len(trials))
    first = [store.find(trial) for trial in trials[: rule.at_least]]
    values = [
        reported_epoch(each.trial.settings.training, each.record.epochs).test_accuracy
        for each in first
        if each.state == "done" and each.record
    ]
    if len(values) < 2 or any(each.state not in ("done", "diverged") for each in first):
        return Decision(rule.at_least)
    needed = max(rule.at_least, stein_size(values, rule.half_width_points / 100))
    return Decision(min(needed, rule.at_most), len(values), needed)


def called_for(store: Store, suites: Iterable[Suite], trials: Iterable[Trial]) -> list[Trial]:
    """List the trials that the results so far require; all trials of a suite that lists its seeds."""
    known = {suite.folder: suite for suite in suites if suite.seed_rule}
    seeds: dict[tuple[str, str], set[int]] = {}
    for folder, suite in known.items():
        for name, own in by_experiment(suite).items():
            seeds[folder, name] = set(suite.seeds[: decide(store, suite, own).seeds])
    return [
        trial
        for trial in trials
        if trial.folder not in known or trial.seed in seeds[trial.folder, trial.experiment]
    ]


def by_experiment(suite: Suite) -> dict[str, list[Trial]]:
    """Return the trials of each experiment, in the order of seeds."""
    found: dict[str, list[Trial]] = {name: [] for name in suite.experiments}
    for trial in suite.trials():
        found[trial.experiment].append(trial)
    return found
