"""Records as files under `results/`: where they are, saved whole, loaded, and what is there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from harness.errors import StoreError, UsageError
from harness.record import Record
from harness.suite import Suite, Trial

State = Literal["done", "failed", "diverged", "left", "unreadable"]


@dataclass(frozen=True)
class Found:
    """What is on disk of one trial: its record, or why there is none to be had."""

    trial: Trial
    state: State
    record: Record | None = None
    error: str | None = None


@dataclass(frozen=True)
class Store:
    """The records of one folder of results."""

    root: Path

    def record_path(self, trial: Trial) -> Path:
        """Return where the trial's record stands."""
        return self.root / trial.folder / trial.experiment / f"seed-{trial.seed}-{trial.digest[:8]}.json"

    def checkpoint_path(self, trial: Trial) -> Path:
        """Return where the trial's checkpoint stands while it trains."""
        return self.record_path(trial).with_suffix(".checkpoint")

    def weights_path(self, trial: Trial) -> Path:
        """Return where `--save-model` leaves the trial's final weights."""
        return self.record_path(trial).with_suffix(".weights.pt")

    def find(self, trial: Trial) -> Found:
        """Look the trial up; an unreadable record is a state, not an exception."""
        path = self.record_path(trial)
        try:
            record = Record.from_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Found(trial, "left")
        except (OSError, ValueError) as error:
            return Found(trial, "unreadable", error=f"{path}: unreadable record: {_why(error)}")
        if record.digest != trial.digest:
            digests = f"found the digest {record.digest[:8]}…, expected {trial.digest[:8]}…"
            return Found(trial, "unreadable", error=f"{path}: unreadable record: {digests}")
        return Found(trial, record.status, record)

    def find_all(self, suite: Suite) -> list[Found]:
        """Look every trial of the suite up, in its order."""
        return [self.find(trial) for trial in suite.trials()]

    def stale(self, suite: Suite) -> list[Path]:
        """List the record files in the suite's folder that belong to no trial of it any more."""
        current = {self.record_path(trial) for trial in suite.trials()}
        return sorted(set((self.root / suite.folder).glob("*/seed-*.json")) - current)

    def forget_unfinished(self, trial: Trial) -> None:
        """Remove the trial's checkpoint, and what killed processes had begun to write for it."""
        path = self.checkpoint_path(trial)
        for each in [path, *path.parent.glob(f".{path.stem}.*.tmp")]:
            each.unlink(missing_ok=True)

    def save(self, trial: Trial, record: Record) -> None:
        """Write the record whole; raise StoreError rather than replace a done one."""
        path = self.record_path(trial)
        if self.find(trial).state == "done":
            raise StoreError(f"{path}: already done; a done record is never replaced")
        write_whole(path, record.to_json().encode())

    def save_suite(self, suite: Suite) -> None:
        """Write `suite.json`, from which a report knows what is missing, published and titled."""
        text = json.dumps(suite.model_dump(), indent=1, allow_nan=False) + "\n"
        write_whole(self.root / suite.folder / "suite.json", text.encode())

    def load_suite(self, folder: str) -> Suite:
        """Read the `suite.json` of one folder; raise StoreError where it is missing or unreadable."""
        path = self.root / folder / "suite.json"
        try:
            return Suite.model_validate_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            known = ", ".join(self.folders()) or "none yet"
            raise UsageError(f"{path}: no such results; there are: {known}") from None
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{path}: unreadable: {_why(error)}; run the suite again to rewrite it"
            ) from None

    def folders(self) -> list[str]:
        """List the folders that hold a suite's results."""
        return sorted(path.parent.name for path in self.root.glob("*/suite.json"))

    @contextlib.contextmanager
    def lock(self, folders: Sequence[str]) -> Iterator[None]:
        """Hold the suites' folders against a second run; raise UsageError where one is under way."""
        with contextlib.ExitStack() as held:
            for folder in sorted(set(folders)):
                path = self.root / folder / ".lock"
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    file = held.enter_context(path.open("a+", encoding="utf-8"))
                except OSError as error:
                    raise StoreError(f"{path}: cannot be written: {error.strerror}") from None
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    file.seek(0)
                    raise UsageError(
                        f"{path.parent}: in use by another run ({file.read().strip() or 'unknown'}); "
                        "wait for it, or choose another folder with --results"
                    ) from None
                file.truncate(0)
                file.write(f"process {os.getpid()} on {socket.gethostname()}")
                file.flush()
            yield


def write_whole(path: Path, content: bytes) -> None:
    """Write the file so that a reader sees all of it or nothing; raise StoreError where it cannot be."""
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written: {error.strerror}; make room or choose --results"
        ) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _why(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "(top)"
        return f"{key}: {first['msg']}"
    return str(error)
