"""What must hold after every kill and at the end of a round: records, figures, going on, leftovers."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.kill_case import Case, Figures, figures_of, trial_name
from harness.results.record import Record
from tests.support.report_files import is_of_report

ROUNDING = 1e-9
_DONE = re.compile(r"seed-\d+-[0-9a-f]{8}\.json")
_EPOCH = re.compile(r"(\S+): epoch (\d+)/\d+  ")
_END = re.compile(r"(\S+): done, ")


@dataclass
class Tally:
    """Adds up what was found in all rounds; `faults` are the sentences that should not be there."""

    records: int = 0
    looks: int = 0
    exact: int = 0
    rounded: int = 0
    largest_difference: float = 0.0
    starts: Counter[str] = field(default_factory=Counter)
    leftovers: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


@dataclass
class Records:
    """The record files of a round: once there, they stay as they are."""

    folder: Path
    tally: Tally
    seen: dict[Path, bytes] = field(default_factory=dict)

    def look(self, after: str) -> None:
        """Check that every record is whole, and that those which stood here before stand unchanged."""
        found = {
            path: path.read_bytes() for path in self.folder.rglob("seed-*.json") if _DONE.fullmatch(path.name)
        }
        for path, content in self.seen.items():
            if found.get(path) != content:
                self.tally.faults.append(f"{after}: {path.name} {'changed' if path in found else 'vanished'}")
        for path, content in found.items():
            self.tally.looks += 1
            if path not in self.seen and (why := _damage(content)):
                self.tally.faults.append(f"{after}: {path.name}: {why}")
        self.seen = found


def _damage(content: bytes) -> str | None:
    try:
        status = Record.from_json(content.decode()).status
    except ValueError as error:
        return f"damaged: {error}"
    return None if status == "done" else f"stands as done, and is {status}"


def check_figures(tally: Tally, case: Case, records: Records, expected: Figures) -> None:
    """Compare what was found with what is found when nobody kills."""
    found = {
        trial_name(path): figures_of(Record.from_json(content.decode()))
        for path, content in records.seen.items()
    }
    if found.keys() != expected.keys():
        tally.faults.append(f"found records of {sorted(found)}, expected {sorted(expected)}")
    tally.records += len(found)
    for name in found.keys() & expected.keys():
        if case.is_exact:
            tally.exact += found[name] == expected[name]
            if found[name] != expected[name]:
                tally.faults.append(f"{case.name}, {name}: found other bits than uninterrupted")
            continue
        difference = _largest_difference(found[name], expected[name])
        tally.rounded += difference <= ROUNDING
        tally.largest_difference = max(tally.largest_difference, difference)
        if difference > ROUNDING:
            tally.faults.append(f"{case.name}, {name}: differs by {difference:.1e} from uninterrupted")


def _largest_difference(found: Sequence[float], expected: Sequence[float]) -> float:
    if len(found) != len(expected):
        return math.inf
    return max(abs(one - other) / (abs(other) or 1.0) for one, other in zip(found, expected, strict=True))


def check_starts(tally: Tally, events: Sequence[dict[str, Any]]) -> None:
    """Count from where trials went on; none may have been saved further before."""
    saved: dict[str, list[int]] = {}
    known: set[str] = set()
    for event in events:
        if event["kind"] == "outlived":
            tally.faults.append(f"process {event['process']} outlived its launcher")
            continue
        trial, place = event["trial"], event["place"]
        if event["kind"] == "saved":
            saved[trial] = max(place, saved.get(trial, place))
            continue
        if event["others"]:
            tally.faults.append(f"{trial}: went on while processes {event['others']} trained it")
        how = _how(place, saved.get(trial, [0, 0]), event["files"], is_first=trial not in known)
        tally.starts[how] += 1
        if "although" in how:
            tally.faults.append(f"{trial}: {how}: from {place}, saved {saved[trial]}, {event['files']} files")
        known.add(trial)


def _how(place: list[int], saved: list[int], files: int, *, is_first: bool) -> str:
    if place < saved:
        return (
            "from zero although a state was saved"
            if place == [0, 0]
            else "from an old state although one is newer"
        )
    if place != [0, 0]:
        return "went on within an epoch" if place[1] else "went on after an epoch"
    if files:
        return "from zero although there were files"
    return "first start" if is_first else "from zero, nothing was saved yet"


def check_output(tally: Tally, texts: Sequence[str]) -> None:
    """Check that no epoch and no end of a trial was told twice, as it would be if it were trained again."""
    lines = [line for text in texts for line in text.splitlines()]
    told = Counter(match.groups() for line in lines if (match := _EPOCH.match(line)))
    ends = Counter(match.groups() for line in lines if (match := _END.match(line)))
    for what, count in (told + ends).items():
        if count > 1:
            tally.faults.append(f"{' epoch '.join(what)}: told {count} times")


def check_leftovers(tally: Tally, folder: Path) -> None:
    """Count what stands beside the records when all trials are done."""
    for path in folder.rglob("*"):
        is_kept = path.name == "suite.json" or _DONE.fullmatch(path.name) or is_of_report(path)
        if path.is_file() and not is_kept:
            tally.leftovers[_kind(path.name)] += 1


def _kind(name: str) -> str:
    if name.endswith(".tmp"):
        return (
            "temporary file of a record, claim or checkpoint"
            if name.startswith(".seed-")
            else "temporary file"
        )
    return next((kind for kind in ("checkpoint", "claim", "attempt") if f".{kind}-" in name), name)
