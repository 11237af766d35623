"""Store of record files under `results/`: their paths, atomic saving, loading and listing.

A done record has the trial's name. The records of earlier attempts stay beside it until the trial is done. A
record is created once and never replaced.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from harness.config import resolved, suite_file
from harness.config.suite import Suite, Trial
from harness.errors import LostLeaseError, StoreError, UsageError
from harness.results.atomic_files import place, remove, update
from harness.results.data_digests import latest, other_data
from harness.results.file_names import is_record, stem_of_passing, stem_of_temporary
from harness.results.record import Record
from harness.results.record_place import mismatch, tells_more

State = Literal["done", "failed", "diverged", "left", "unreadable"]


def to_train(*, retry_diverged: bool = False) -> set[State]:
    """Return the states of trials that a run trains; an unreadable record's trial may be done."""
    return {"left", "failed", "diverged"} if retry_diverged else {"left", "failed"}


@dataclass(frozen=True)
class Found:
    """A trial's state on disk, with its record or the reason why there is none.

    `other_data` is the digest of the data of a stale record: the trial is left.
    """

    trial: Trial
    state: State
    record: Record | None = None
    error: str | None = None
    other_data: str = ""


@dataclass(frozen=True)
class Store:
    """The records in one results folder."""

    root: Path

    def record_path(self, trial: Trial) -> Path:
        """Return the path of the trial's record once it is done."""
        return self.root / trial.folder / trial.experiment / f"seed-{trial.seed}-{trial.digest[:8]}.json"

    def attempt_path(self, trial: Trial, number: int) -> Path:
        """Return the path of the record with `number` attempts, none of them done."""
        return self.record_path(trial).with_suffix(f".attempt-{number}.json")

    def checkpoint_paths(self, trial: Trial) -> tuple[Path, Path]:
        """Return the two paths at which the trial's checkpoints are written in turn while it trains."""
        first, second = (self.record_path(trial).with_suffix(f".checkpoint-{slot}") for slot in (1, 2))
        return first, second

    def lease_path(self, trial: Trial, generation: int) -> Path:
        """Return the path of the trial's lease of a generation."""
        return self.record_path(trial).with_suffix(f".claim-{generation}")

    def weights_path(self, trial: Trial) -> Path:
        """Return the path at which `--save-model` writes the trial's final weights."""
        return self.record_path(trial).with_suffix(".weights.pt")

    def find(self, trial: Trial) -> Found:
        """Look the trial up; an unreadable record is a state, not an exception."""
        done = self._read(trial, self.record_path(trial))
        attempts = list(self._attempts(trial)) if done.state == "left" else []
        if not attempts:
            return done
        last = self._read(trial, attempts[-1])
        return last if last.state != "left" or last.other_data else self._read(trial, self.record_path(trial))

    def _read(self, trial: Trial, path: Path) -> Found:
        try:
            record = Record.from_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Found(trial, "left")
        except (OSError, ValueError) as error:
            return Found(trial, "unreadable", error=f"{path}: unreadable record: {_why(error)}")
        training = trial.settings.training
        contradiction = record.mistake(training.epochs, may_end_early=training.early_stopping is not None)
        if mistake := mismatch(record, trial) or contradiction:
            return Found(trial, "unreadable", error=f"{path}: unreadable record: {mistake}")
        if digest := other_data(record, trial.data_digest):
            return Found(trial, "left", other_data=digest)
        return Found(trial, record.status, record)

    def stale(self, suite: Suite) -> list[Path]:
        """List the record files in the suite's folder that belong to no trial of it any more."""
        current = {self.record_path(trial).with_suffix("") for trial in suite.trials()}
        files = self.files(suite.folder)
        return [path for path in files if path.with_name(path.name.partition(".")[0]) not in current]

    def files_of_other_data(self, trial: Trial) -> tuple[list[Path], list[Path]]:
        """List the trial's files that were made from other data: a done record and its weights; attempts."""
        done, attempts = self.record_path(trial), list(self._attempts(trial))
        is_old = bool(self._read(trial, done).other_data)
        is_older = bool(attempts and self._read(trial, attempts[-1]).other_data)
        return [done, self.weights_path(trial)] if is_old else [], attempts if is_older else []

    def files(self, folder: str) -> list[Path]:
        """List all record files of a suite's folder."""
        paths = (self.root / folder).glob("*/seed-*.json")
        return sorted(path for path in paths if is_record(path.name))

    def save(self, trial: Trial, record: Record) -> None:
        """Save the record atomically; then remove attempts if it is done, checkpoints unless it failed.

        Raise LostLeaseError if there is one already: no record is ever replaced.
        """
        done = record.status == "done"
        path = self.record_path(trial) if done else self.attempt_path(trial, len(record.attempts))
        if not place(path, record.to_json().encode()):
            raise LostLeaseError(f"{path}: another run has recorded it already; no record is ever replaced")
        if done:
            for attempt in self._attempts(trial):
                remove(attempt)
        if record.status != "failed":
            for checkpoint in self.checkpoint_paths(trial):
                remove(checkpoint)

    def _attempts(self, trial: Trial) -> Iterator[Path]:
        paths = (self.attempt_path(trial, number) for number in itertools.count(1))
        return itertools.takewhile(Path.exists, paths)

    def sweep(self, trial: Trial) -> None:
        """Remove temporary files that killed processes left for the trial; only for the lease's owner."""
        record = self.record_path(trial)
        for path in record.parent.glob(f".{record.stem}.*.tmp"):
            if stem_of_temporary(path.name):
                remove(path)

    def tidy(self, folder: str) -> None:
        """Remove what killed runs left beside done records, and no file that the harness did not make."""
        for path in (self.root / folder).glob("*/*seed-*.*"):
            stem = stem_of_passing(path.name)
            done = path.with_name(f"{stem}.json")
            if stem and done.exists() and not (is_record(path.name) and tells_more(path, done)):
                remove(path)

    def suite_json(self, suite: Suite) -> str:
        """Return the content of `suite.json`; its source is relative to the folder that holds the results."""
        return resolved.to_json(suite, self.root.absolute().parent)

    def save_suite(self, suite: Suite) -> None:
        """Write `suite.json`, which tells a report the title, the published figures and the missing trials.

        A suite without a data digest keeps that of its last run. Raise UsageError if the file there belongs
        to another suite file, as `refuse_another` does.
        """
        suite = suite.model_copy(update={"data_digest": suite.data_digest or self.data_digest(suite)})
        path, content = self.root / suite.folder / "suite.json", self.suite_json(suite).encode()
        if not place(path, content):  # of two runs that start at once, one is first
            self.refuse_another(suite)
            update(path, content)

    def refuse_another(self, suite: Suite) -> None:
        """Raise UsageError if the results under the suite's name belong to another suite file."""
        try:
            known = self.load_suite(suite.folder)
        except (UsageError, StoreError):  # there is none yet, or it is unreadable
            return
        if suite_file.is_another(known, suite):
            old, new = (f"`suite: {each.suite}` from {suite_file.shown(each)}" for each in (known, suite))
            raise UsageError(
                f"{self.root / suite.folder}: found results of {old}, expected none or those of {new}, which "
                "differs; rename one of the two, or choose another folder with --results"
            )

    def load_suite(self, folder: str) -> Suite:
        """Read a folder's `suite.json`; raise UsageError if there is none, StoreError if it is unreadable."""
        suite = self._suite_in(folder)
        if suite.data_digest:
            return suite
        return suite.model_copy(update={"data_digest": latest(map(self.record_path, suite.trials()))})

    def _suite_in(self, folder: str) -> Suite:
        path = self.root / folder / "suite.json"
        if folder not in self.folders():  # this refuses paths outside the results, too
            known = ", ".join(self.folders()) or "none yet"
            raise UsageError(f"{path}: no such results; there are: {known}")
        try:
            text = path.read_text(encoding="utf-8-sig")
            suite = resolved.from_json(text, self.root.absolute().parent)
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{path}: unreadable: {_why(error)}; run the suite again to rewrite it"
            ) from None
        return suite.model_copy(update={"found_in": folder if folder != suite.folder else ""})

    def data_digest(self, suite: Suite, *, from_records: bool = False) -> str:
        """Return the digest of the data with which a suite last ran, empty if suite.json has none.

        With `from_records` the records decide in that case, as in a report.
        """
        try:
            before = (self.load_suite if from_records else self._suite_in)(suite.folder)
        except (StoreError, UsageError):
            return ""
        return before.data_digest if before.dataset.what_counts == suite.dataset.what_counts else ""

    def folder_named(self, name: str) -> str:
        """Return the name of a results folder that was given by name or, as a shell completes it, by path."""
        path = Path(name)
        is_path = path.name not in ("", "..") and path.parent.resolve() == self.root.resolve()
        return path.name if is_path else name.removesuffix("/")

    def folders(self) -> list[str]:
        """List the folders that hold a suite's results."""
        return sorted(path.parent.name for path in self.root.glob("*/suite.json"))


def _why(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "(top)"
        return f"{key}: {first['msg']}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror  # without its path, which the message has, and which may differ from the user's
    return str(error)
