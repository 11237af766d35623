"""Superseded records, of trials that are trained again. They stay beside the new ones, in no figure.

`--retrain` sets records aside, and a run sets aside those of other data. `seed-1-<digest>.json` becomes
`seed-1-<digest>.superseded-<time>.json`, its weights likewise. The time is when the retraining began.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from harness.config.suite import Trial
from harness.errors import StoreError
from harness.results.record import Record
from harness.results.store import Found, Store

_NAME = re.compile(r"(?P<stem>seed-\d+-[0-9a-f]{8})\.superseded-(?P<time>\d{8}T\d{6}Z)(\.attempt-\d+)?\.json")
_TIME = "%Y%m%dT%H%M%SZ"


def superseded(store: Store, folder: str) -> dict[str, int]:
    """Count the superseded records in a suite's folder, by experiment."""
    paths = (store.root / folder).glob("*/seed-*.superseded-*.json")
    return dict(sorted(Counter(path.parent.name for path in paths if _NAME.fullmatch(path.name)).items()))


def set_aside(
    store: Store,
    trials: Sequence[Trial],
    called_for: Sequence[Trial],
    is_other_code: Callable[[Trial, Record], bool],
    now: datetime | None = None,
) -> tuple[int, datetime | None]:
    """Set aside the records of one experiment's trials; return how many, and when this began.

    An unfinished retraining is continued: records made since it began stay, unless their user code differs.
    The time is None if a new retraining begins.
    """
    began = _under_way(store, called_for)
    moment = (now or datetime.now(UTC)).replace(microsecond=0)
    count = 0
    for trial in trials:
        found = store.find(trial)
        if found.record is None or found.state not in ("done", "diverged"):
            continue
        if began is None or is_other_code(trial, found.record) or _ended_before(found.record, began):
            _move(store, trial, _files(store, found), moment)
            count += 1
    return count, began


def set_aside_other_data(store: Store, trial: Trial, now: datetime | None = None) -> list[Path]:
    """Set aside what the trial has found on other data; return the files. Only for the lease's owner."""
    done, attempts = store.files_of_other_data(trial)
    return _move(store, trial, [*done, *attempts], (now or datetime.now(UTC)).replace(microsecond=0))


def _under_way(store: Store, trials: Sequence[Trial]) -> datetime | None:
    """Return when an unfinished retraining began; None if every trial since is done or diverged."""
    if all(store.find(each).state not in ("left", "failed") for each in trials if _times(store, each)):
        return None
    return max(time for each in trials for time in _times(store, each))


def _times(store: Store, trial: Trial) -> list[datetime]:
    """List when the trial's records were set aside."""
    path = store.record_path(trial)
    names = (_NAME.fullmatch(each.name) for each in path.parent.glob(f"{path.stem}.superseded-*.json"))
    return [datetime.strptime(name["time"], _TIME).replace(tzinfo=UTC) for name in names if name]


def _ended_before(record: Record, moment: datetime) -> bool:
    try:
        ended = datetime.fromisoformat(record.ended_at)
    except ValueError:
        return True
    return (ended if ended.tzinfo else ended.replace(tzinfo=UTC)) < moment


def _files(store: Store, found: Found) -> list[Path]:
    attempts = found.record.attempts if found.record else []
    if found.state == "done":
        return [store.record_path(found.trial), store.weights_path(found.trial)]
    return [store.attempt_path(found.trial, number) for number in range(1, len(attempts) + 1)]


def _move(store: Store, trial: Trial, paths: Sequence[Path], moment: datetime) -> list[Path]:
    """Rename the trial's files that exist; return their new paths."""
    record, moved = store.record_path(trial), []
    for path in filter(Path.exists, paths):
        ending = path.name.removeprefix(record.stem)
        later = moment
        while not _moved(
            path, target := record.with_name(f"{record.stem}.superseded-{later:{_TIME}}{ending}")
        ):
            later += timedelta(seconds=1)
        moved.append(target)
    return moved


def _moved(path: Path, target: Path) -> bool:
    """Rename the file unless another has the name; a file that is gone counts as renamed."""
    try:
        os.link(path, target)
    except FileNotFoundError:
        return True
    except FileExistsError:
        with contextlib.suppress(OSError):
            if not path.samefile(target):  # else killed here before
                return False
    except OSError as error:
        raise StoreError(f"{path}: cannot be set aside as {target.name}: {error.strerror}") from None
    path.unlink(missing_ok=True)
    return True
