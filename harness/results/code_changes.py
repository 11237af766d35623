"""Changes since records were made: trials with records of other user code, or of earlier numerics.

It judges nothing: the sentences name the experiments, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness import numerics
from harness.config.suite import Suite, Trial
from harness.model_libraries import library_of
from harness.results.record import Record
from harness.results.seed_rule import by_experiment
from harness.results.store import Store
from harness.results.superseded import superseded
from harness.results.user_code_hash import UserCodes, callables_of


def is_of_other_code(trial: Trial, record: Record, codes: UserCodes) -> bool:
    """Return whether a record is known to be of other user code than the trial's as it is now."""
    now = codes.hash_of(trial)
    return bool(now) and record.has_known_code and record.user_code != now


def sentences(store: Store, suite: Suite, codes: UserCodes) -> list[str]:
    """Return one sentence for each experiment and change."""
    return [
        text
        for name, trials in by_experiment(suite).items()
        for text in (*_other_code(store, name, trials, codes), *_earlier_numerics(store, name, trials))
    ]


def kept_aside(store: Store, suite: Suite) -> list[str]:
    """Return one sentence for each experiment with superseded records."""
    return [
        f"{suite.folder}/{name}: {count} superseded record{'s' * (count > 1)}, kept, in no table"
        for name, count in superseded(store, suite.folder).items()
    ]


def _other_code(store: Store, name: str, trials: Sequence[Trial], codes: UserCodes) -> Iterator[str]:
    if not callables_of(trials[0].settings):
        return
    found = [(each, store.find(each).record) for each in trials]
    records = [(each, record) for each, record in found if record and record.status != "failed"]
    others = [record for each, record in records if is_of_other_code(each, record, codes)]
    changes: dict[tuple[str, str], list[str]] = {}
    for each in others:
        what, before, now = _change(each, trials[0], codes)
        changes.setdefault((what, now), []).append(before)
    for (what, now), hashes in changes.items():
        yield (
            f"{trials[0].folder}/{name}: {len(hashes)} of {len(records)} records are of {what} "
            f"({', '.join(sorted(set(hashes)))}; now {now}); `harness run … --retrain {name}` sets them "
            "aside and trains them again"
        )


def _change(record: Record, trial: Trial, codes: UserCodes) -> tuple[str, str, str]:
    """Return what a record is of that differs, that of the record, and what it is now."""
    library, recorded = library_of(str(trial.settings.model["name"])), record.versions.model_library
    if library and library.distribution and recorded not in (None, library.distribution):
        return f"another version of {library.name}", str(recorded), library.distribution
    return "other user code", (record.user_code or "none")[:8], (codes.hash_of(trial) or "")[:8]


def _earlier_numerics(store: Store, name: str, trials: Sequence[Trial]) -> Iterator[str]:
    found = {
        version
        for each in trials
        for version, digest in each.earlier.items()
        if store.record_path(each).with_name(f"seed-{each.seed}-{digest[:8]}.json").exists()
    }
    if found:
        since = [each for each in numerics.versions_of(trials[0].settings.model_dump()) if each > min(found)]
        sentence = "; ".join(numerics.CHANGES[each].sentence for each in since)
        versions = ", ".join(map(str, sorted(found)))
        yield (
            f"{trials[0].folder}/{name}: records of numerics version {versions} are stale, as version "
            f"{trials[0].numerics} differs: {sentence}; a run trains them again"
        )
