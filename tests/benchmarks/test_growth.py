"""Many records: none of the commands that only read holds them all, and how that is measured."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.contestant import ROOT
from benchmarks.growth import COMMANDS, Series, Usage, exponent, make_up, measured, table
from harness import report
from harness.config.suite import Suite
from harness.results import estimates
from harness.results.record import Record
from harness.results.store import Store

READERS: dict[str, Callable[[Store, Suite], object]] = {
    "status": estimates.status,
    "plan": estimates.plan,
    "longest first": lambda store, suite: estimates.longest_first(store, suite.trials()),
    "report": lambda store, suite: report.write(store, suite.folder),
}


@pytest.mark.e2e
@pytest.mark.parametrize("reader", READERS)
def test_records_are_held_one_at_a_time_and_read_once(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite, store = make_up(tmp_path, 30), Store(tmp_path / "results")
    seen: list[weakref.ref[Record]] = []
    alive: list[int] = []
    read = Record.from_json

    def counting(text: str) -> Record:
        record = read(text)
        seen.append(weakref.ref(record))
        alive.append(sum(each() is not None for each in seen))
        return record

    monkeypatch.setattr(Record, "from_json", counting)
    READERS[reader](store, suite)
    assert len(seen) == 30
    assert max(alive) <= 2


def series(command: str, records: int, seconds: float) -> Series:
    return Series(command, records, [Usage(seconds, seconds, 40.0), Usage(3 * seconds, seconds, 50.0)])


def test_the_exponent_leaves_the_start_apart() -> None:
    sizes = (100, 1000, 10_000)
    linear = [series("status", n, 0.3 + 0.001 * n) for n in sizes]
    square = [series("status", n, 0.3 + 0.001 * n**2) for n in sizes]
    assert exponent(linear) == pytest.approx(1)
    assert exponent(square) == pytest.approx(2, abs=0.01)


def test_the_table_shows_every_run_and_what_was_before() -> None:
    now = [series("status", n, n / 1000) for n in (100, 1000, 10_000)]
    before = [series("status", n, n / 250) for n in (100, 1000, 10_000)]
    lines = table(now, before).splitlines()
    assert len(lines) == 5
    assert lines[2] == (
        "| status | 100 | 0.20 (0.10–0.30) | 0.10 | 50 |  | 0.80 (0.40–1.20) | 0.40 | 50 |  | 4.0 |"
    )
    assert lines[4].count("| n^1.00 |") == 2


@pytest.mark.e2e
def test_every_command_is_measured_as_a_process() -> None:
    (now,) = measured([ROOT], [10], 1)
    assert [each.command for each in now] == list(COMMANDS)
    assert all(each.peak_mib > 5 and each.cpu_seconds > 0.01 for each in now)
