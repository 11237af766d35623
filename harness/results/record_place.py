"""Checks of a record against its file's name and against other records of its trial."""

from __future__ import annotations

from pathlib import Path

from harness.config.suite import Trial
from harness.results.record import Record


def mismatch(record: Record, trial: Trial) -> str:
    """Return how a record contradicts its trial's place or itself; empty if it does not."""
    if record.digest != trial.digest:
        return f"found the digest {record.digest[:8]}…, expected {trial.digest[:8]}…"
    if record.seed != trial.seed:
        return f"found the seed {record.seed}, expected {trial.seed}, as the file's name says"
    if record.experiment != trial.experiment:
        found = f"found the experiment {record.experiment!r}"
        return f"{found}, expected {trial.experiment!r}, as the folder's name says"
    if record.settings == trial.settings.model_dump():  # as nearly always, and quicker than the digest
        return ""
    if (own := record.settings_digest()) != record.digest:
        return f"found settings with the digest {own[:8]}…, expected those of its own, {record.digest[:8]}…"
    return ""


def tells_more(attempt: Path, done: Path) -> bool:
    """Return whether an attempt may hold an error that the done record lacks, as in merged folders."""
    try:
        earlier, later = (Record.from_json(path.read_text(encoding="utf-8")) for path in (attempt, done))
    except (OSError, ValueError):
        return True
    return any(each not in later.attempts for each in earlier.attempts)
