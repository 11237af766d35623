"""Faults during a run (a full or read-only disk, a removed folder, a clock that jumps) change no figure."""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from harness.results.store import Store
from tests.support import ROOT, fault_models
from tests.support.disk import Disk, write_into
from tests.support.forks import Started
from tests.support.gated_runs import (
    DRAWN,
    GATED,
    contents,
    ended,
    errors_in,
    gated_run,
    processes_of,
    trial_of_suite,
    wait_for_beats,
    wait_until,
)
from tests.support.jumping_clock import JUMPING_CLOCK
from tests.support.records import failed_of
from tests.support.report_files import is_of_report
from tests.support.runs import (
    HARNESS,
    Running,
    assert_equal,
    figures,
    records,
    run,
    start,
    start_anew,
    undisturbed,
    wait_for,
    workers,
)

pytestmark = pytest.mark.usefixtures("gated_suite")


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> dict[str, list[float]]:
    """Return what the suite finds when nothing disturbs it."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / fault_models.OPEN).touch()
    return undisturbed(folder, cache, GATED, "--nproc", "1")


def test_a_disk_that_gets_full_costs_the_work_since_the_last_checkpoint(
    disk: Disk, expected: dict[str, list[float]]
) -> None:
    arguments = ["--nproc", "2", "--placement", "ddp"]
    process = gated_run(*arguments)
    disk.fill()
    output = ended(process, code=1)
    first, second = Store(Path("results")).checkpoint_paths(trial_of_suite())
    assert errors_in(output)[0].startswith(f"error: {second}: cannot be written: No space left on device;")
    assert output.count("placement: ") == 1
    assert first.exists()
    assert not records()
    disk.make_room()
    resumed = run("suite.yaml", *arguments)
    assert "epoch 1/3" not in resumed
    assert "epoch 2/3" in resumed
    assert_equal(figures(), expected)
    kept = [name for name in contents() if not is_of_report(name)]
    assert kept == [f"small/gated/{first.stem}.json", "small/suite.json"]


def test_files_that_may_not_grow_are_told_like_a_full_disk(expected: dict[str, list[float]]) -> None:
    process = gated_run("--nproc", "1")
    for pid in (process.pid, *workers(process)):
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    output = ended(process, code=1)
    assert "checkpoint-2: cannot be written: File too large; make room" in errors_in(output)[0]
    assert output.count("placement: ") == 1
    assert "epoch 1/3" not in run("suite.yaml", "--nproc", "1")
    assert_equal(figures(), expected)


# Python runs it first in every process: an epoch of any length is long enough to be saved, the last one too.
LONG_EPOCHS = """\
from harness.training import checkpoint_policy

checkpoint_policy._LEAST_SECONDS = 0.0
"""


def test_a_record_that_finds_no_room_is_written_by_the_next_run(
    disk: Disk, expected: dict[str, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("long").mkdir()
    Path("long/sitecustomize.py").write_text(LONG_EPOCHS, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{Path('long').absolute()}:{ROOT}")
    trial, store = trial_of_suite(), Store(Path("results"))
    store.save(trial, failed_of(trial, error="a long story " * 20_000))  # every later record carries it along
    disk.fill(left=100_000)
    fault_models.OPEN.touch()
    output = run("suite.yaml", "--nproc", "1", code=1)
    (error,) = errors_in(output)
    assert error.startswith(f"error: {store.record_path(trial)}: cannot be written: No space left on device")
    assert "epoch 3/3" in output
    assert store.find(trial).state == "failed"
    disk.make_room()
    assert ": epoch " not in run("suite.yaml", "--nproc", "1")
    assert_equal(figures(), expected)
    (record,) = records().values()
    assert [attempt.error[:12] for attempt in record.attempts] == ["a long story"]


def test_a_table_that_finds_no_room_leaves_the_records(disk: Disk, expected: dict[str, list[float]]) -> None:
    Path("suite.yaml").write_text(DRAWN, encoding="utf-8")
    process = gated_run("--nproc", "1")
    _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, hard))  # who writes the table, and no record
    (error,) = errors_in(ended(process, code=1))
    assert error.startswith("error: results/small/table.md: cannot be written: File too large; make room")
    assert_equal(figures(), expected)
    assert run("report").endswith("6 tables and figures, 6 changed\n")
    (Path("results") / "small" / "table.md").unlink()
    disk.fill()
    before = contents()
    (error,) = errors_in(run("report", code=1))
    assert error.startswith("error: results/small/table.md: cannot be written: No space left on device")
    assert contents() == before


def test_output_that_finds_no_room_is_done_without(disk: Disk, expected: dict[str, list[float]]) -> None:
    disk.fill()
    command = [*HARNESS, "suite.yaml", "--nproc", "1", "--results", "other", "--stale-after", "2s"]
    process = Started(command, before=partial(write_into, disk.root / "log"))
    wait_until(fault_models.REACHED.exists, process)
    wait_for_beats(Store(Path("other")).lease_path(trial_of_suite(), 1), 10, process)
    assert ended(process, code=0) == ""
    assert_equal(figures("other"), expected)
    (record,) = records("other").values()
    assert not record.attempts
    assert (Path("other") / "small" / "table.md").is_file()


def test_results_that_get_read_only_cost_the_work_since_the_last_checkpoint(
    disk: Disk, expected: dict[str, list[float]]
) -> None:
    process = gated_run("--nproc", "1")
    _until_it_works(lambda: disk.make("ro"), process)
    output = ended(process, code=1)
    assert "checkpoint-2: cannot be written: Read-only file system" in errors_in(output)[0]
    assert output.count("placement: ") == 1
    disk.make("rw")
    assert "epoch 1/3" not in run("suite.yaml", "--nproc", "1")
    assert_equal(figures(), expected)


def _until_it_works(act: Callable[[], None], process: Running) -> None:
    """Try again where a file is just being written."""

    def works() -> bool:
        try:
            act()
        except subprocess.CalledProcessError:
            return False
        return True

    wait_until(works, process)


def test_results_that_are_removed_meanwhile_are_told(expected: dict[str, list[float]]) -> None:
    process = gated_run("--nproc", "1")
    shutil.rmtree("results/small")
    output = ended(process, code=1)
    lease = Store(Path("results")).lease_path(trial_of_suite(), 1)
    (error,) = errors_in(output)
    assert error == f"error: {lease}: this run's lease is gone; was the folder removed meanwhile?"
    assert output.count("placement: ") == 1
    left = {name for name in contents() if not is_of_report(name) and not name.startswith(".code/")}
    assert left <= {"small/suite.json"}
    assert "epoch 1/3" in run("suite.yaml", "--nproc", "1")
    assert_equal(figures(), expected)


def test_a_clock_that_jumps_changes_nothing(
    expected: dict[str, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("clock").mkdir()
    Path("clock/sitecustomize.py").write_text(JUMPING_CLOCK, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{Path('clock').absolute()}:{ROOT}")
    arguments = ["--nproc", "1", "--stale-after", "8s"]
    one = start_anew("suite.yaml", *arguments)
    wait_until(fault_models.REACHED.exists, one)
    other = start_anew("suite.yaml", *arguments)
    wait_for(other, ": waiting")
    # 5 s, while the other run looks at them once a second
    wait_for_beats(Store(Path("results")).lease_path(trial_of_suite(), 1), 6, one)
    output = ended(one, code=0)
    said, _ = other.communicate(timeout=200)
    assert other.returncode == 0, said
    assert "taken over" not in output + said
    assert ": done" in output
    assert ": done" not in said
    assert Path("jumped").exists()
    assert_equal(figures(), expected)
    (record,) = records().values()
    assert not record.attempts
    assert all(epoch.train_seconds > 0 and epoch.eval_seconds > 0 for epoch in record.epochs)
    assert record.epochs[1].train_seconds < 600


def test_a_launcher_that_is_killed_while_it_waits_leaves_nobody_and_nothing(
    expected: dict[str, list[float]], tmp_path: Path
) -> None:
    holder = gated_run("--nproc", "1")
    own = set(processes_of(tmp_path))
    waiting = start("suite.yaml", "--nproc", "2")
    wait_for(waiting, ": waiting")
    assert len(workers(waiting)) == 2
    before = set(contents())
    waiting.kill()
    waiting.communicate(timeout=60)  # nobody holds the pipe any more
    wait_until(lambda: set(processes_of(tmp_path)) == own, holder)
    assert set(contents()) == before
    assert "taken over" not in ended(holder, code=0)
    assert_equal(figures(), expected)
