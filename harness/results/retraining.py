"""Retraining: what `--retrain` sets aside before trials are trained again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from harness.config.suite import Suite, Trial
from harness.results.code_changes import is_of_other_code
from harness.results.seed_rule import called_for
from harness.results.store import Store
from harness.results.superseded import set_aside
from harness.results.user_code_hash import UserCodes


def retrain(
    store: Store, suites: Sequence[Suite], trials: Sequence[Trial], names: Collection[str], codes: UserCodes
) -> Iterator[str]:
    """Set aside the records of the named experiments' trials; yield a sentence for each experiment."""
    wanted: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        if trial.experiment in names:
            wanted.setdefault((trial.folder, trial.experiment), []).append(trial)
    for (folder, name), own in wanted.items():
        needed = called_for(store, suites, own)
        count, began = set_aside(
            store, own, needed, lambda trial, record: is_of_other_code(trial, record, codes)
        )
        many = f"{count} record{'s' * (count != 1)} set aside, kept as superseded"
        if began:
            yield (
                f"{folder}/{name}: the retraining that began at {began:%Y-%m-%d %H:%M:%S} UTC goes on"
                + (f"; {many}" if count else "")
            )
        else:
            yield f"{folder}/{name}: {many}" if count else f"{folder}/{name}: no record to set aside"
