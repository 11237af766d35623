"""Whole runs on machines that fail: disks full or read-only, folders gone, clocks that jump, memory short."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.config.loader import load_suite
from harness.results.record import Record
from harness.results.store import Store
from tests.support import ROOT, fault_models
from tests.support.gated_runs import (
    GATED,
    SLOW,
    contents,
    ended,
    errors_in,
    gated_run,
    processes_of,
    trial_of_suite,
    wait_for_all_to_end,
    wait_for_beats,
    wait_until,
)
from tests.support.records import failed_of, record_of
from tests.support.report_files import is_of_report
from tests.support.runs import HARNESS, assert_equal, figures, records, run, start, wait_for, workers

# Python runs it first in every process: another wall clock, that leaps by hours several times a second.
JUMPING_CLOCK = """\
import datetime
import os
import time

_now, _monotonic, _datetime = time.time, time.monotonic, datetime.datetime


def _jumping():
    hours = (0, 5, -5, 25, -2)[int(4 * _monotonic()) % 5]
    if hours and "HARNESS_LAUNCHED" in os.environ:
        open("jumped", "w").close()
    return _now() + 3600 * hours


class _Datetime(_datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(_jumping(), tz)

    @classmethod
    def utcnow(cls):
        return cls.now(datetime.timezone.utc).replace(tzinfo=None)


time.time, time.time_ns = _jumping, lambda: int(1e9 * _jumping())
datetime.datetime = _Datetime
"""


@pytest.fixture(autouse=True)
def _suite(folder: Path) -> None:
    (folder / "suite.yaml").write_text(GATED, encoding="utf-8")


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    """Return what the suite finds when nothing disturbs it."""
    with contextlib.chdir(tmp_path_factory.mktemp("whole")), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        Path("suite.yaml").write_text(GATED, encoding="utf-8")
        fault_models.OPEN.touch()
        run("suite.yaml", "--nproc", "1")
        return figures()


@dataclass(frozen=True)
class Disk:
    """A small file system of its own, which can be full or read-only."""

    root: Path

    def fill(self, left: int = 0) -> None:
        """Take all its room but so many bytes."""
        self.make_room()
        found = os.statvfs(self.root)
        with contextlib.suppress(OSError), (self.root / "filling").open("wb", buffering=0) as file:
            file.write(bytes(found.f_bavail * found.f_frsize - left))

    def make_room(self) -> None:
        """Give the room back."""
        (self.root / "filling").unlink(missing_ok=True)

    def make(self, what: str) -> None:
        """Make it `ro` or `rw`."""
        subprocess.run(["mount", "-o", f"remount,{what}", self.root], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    root = tmp_path / "results"
    root.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(root)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    yield Disk(root)
    subprocess.run(["umount", "--lazy", root], check=True)


def test_a_disk_that_is_full_from_the_start_is_told_once(disk: Disk) -> None:
    trial, store = trial_of_suite(), Store(Path("results"))
    store.save(trial, failed_of(trial))
    disk.fill()
    before = contents()
    (error,) = errors_in(run("suite.yaml", code=1))
    assert error == (
        "error: results/small/suite.json: cannot be written: No space left on device; "
        "make room or choose --results"
    )
    assert contents() == before


def test_a_disk_without_room_for_a_checkpoint_ends_the_run_once(disk: Disk) -> None:
    fault_models.OPEN.touch()
    disk.fill(left=3 * 4096)  # suite.json and the claim fit
    output = run("suite.yaml", "--nproc", "1", code=1)
    checkpoint, *others = errors_in(output)
    place = re.escape(str(Store(Path("results")).checkpoint_paths(trial_of_suite())[0]))
    assert re.fullmatch(f"error: {place}: cannot be written: No space left on device; make .*", checkpoint)
    assert all(is_of_report(error.split(":")[1]) for error in others)
    assert output.count("placement: ") == 1
    assert not [name for name in contents() if name.endswith((".tmp", "checkpoint-1"))]


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


def test_a_record_that_finds_no_room_is_written_by_the_next_run(
    disk: Disk, expected: dict[str, list[float]]
) -> None:
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
    with (disk.root / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, text=True)
    wait_until(fault_models.REACHED.exists, process)
    wait_for_beats(Store(Path("other")).lease_path(trial_of_suite(), 1), 10, process)
    fault_models.OPEN.touch()
    assert process.wait(timeout=200) == 0
    assert_equal(figures("other"), expected)
    (record,) = records("other").values()
    assert not record.attempts
    assert (Path("other") / "small" / "table.md").is_file()


def test_read_only_results_are_told_and_nothing_is_started(disk: Disk) -> None:
    Store(disk.root).save_suite(load_suite(Path("suite.yaml")))
    disk.make("ro")
    before = contents()
    output = run("suite.yaml", code=1)
    assert errors_in(output) == [
        "error: results/small/suite.json: cannot be written: Read-only file system; "
        "make room or choose --results"
    ]
    assert "placement" not in output
    assert contents() == before
    assert "1 of 1 trials left" in run("plan", "suite.yaml")
    assert run("status").splitlines()[1].split() == ["small", "0", "0", "0", "1", "0", "0"]


def test_read_only_results_that_lack_nothing_are_told_alike(disk: Disk) -> None:
    fault_models.OPEN.touch()
    run("suite.yaml", "--nproc", "1")
    trial, store = trial_of_suite(), Store(Path("results"))
    store.checkpoint_paths(trial)[0].write_bytes(b"of a killed run")
    disk.make("ro")
    assert run("report").endswith(", 0 changed\n")
    disk.make("rw")
    (Path("results") / "small" / "table.md").write_text("of another version", encoding="utf-8")
    disk.make("ro")
    for command in (["run", "suite.yaml"], ["report"]):
        (error,) = errors_in(run(*command, code=1))
        assert re.match("error: results/small/.*: cannot be .*: Read-only file system", error)
    assert store.find(trial).state == "done"


def test_what_cannot_be_tidied_up_is_left() -> None:
    trial, store = trial_of_suite(), Store(Path("results"))
    store.save(trial, record_of(trial))
    store.checkpoint_paths(trial)[0].mkdir()  # as if it were another user's
    assert not errors_in(run("suite.yaml"))
    assert store.find(trial).state == "done"


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


def _until_it_works(act: Callable[[], None], process: subprocess.Popen[str]) -> None:
    """Try again where a file is just being written."""

    def works() -> bool:
        try:
            act()
        except subprocess.CalledProcessError:
            return False
        return True

    wait_until(works, process)


@pytest.mark.parametrize("place", ["results", "results/small", "results/small/gated"])
def test_a_file_where_a_folder_should_be_is_told(place: str) -> None:
    Path(place).parent.mkdir(parents=True, exist_ok=True)
    Path(place).write_text("not a folder", encoding="utf-8")
    output = run("suite.yaml", "--nproc", "1", code=1)
    assert re.search(r"(?m)^(error: )?results/small/.*: .*(Not a directory|File exists)", output), output
    assert "Traceback" not in output
    assert "placement: " not in output
    assert Path(place).read_text(encoding="utf-8") == "not a folder"


def test_results_that_are_removed_meanwhile_are_told(expected: dict[str, list[float]]) -> None:
    process = gated_run("--nproc", "1")
    shutil.rmtree("results/small")
    output = ended(process, code=1)
    lease = Store(Path("results")).lease_path(trial_of_suite(), 1)
    (error,) = errors_in(output)
    assert error == f"error: {lease}: this run's claim is gone; was the folder removed meanwhile?"
    assert output.count("placement: ") == 1
    assert {name for name in contents() if not is_of_report(name)} <= {"small/suite.json"}
    assert "epoch 1/3" in run("suite.yaml", "--nproc", "1")
    assert_equal(figures(), expected)


def test_a_clock_that_jumps_changes_nothing(
    expected: dict[str, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("clock").mkdir()
    Path("clock/sitecustomize.py").write_text(JUMPING_CLOCK, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{Path('clock').absolute()}:{ROOT}")
    arguments = ["--nproc", "1", "--stale-after", "8s"]
    one = gated_run(*arguments)
    other = start("suite.yaml", *arguments)
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
    own = {*workers(holder), holder.pid}
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


def slow_run(*command: str) -> subprocess.Popen[str]:
    """Start a run that trains slowly; return it when its second epoch is over."""
    Path("suite.yaml").write_text(SLOW, encoding="utf-8")
    fault_models.SLOW.touch()
    process = subprocess.Popen(
        [*command, *HARNESS, "suite.yaml", "--nproc", "2", "--placement", "ddp"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
    )
    wait_for(process, "epoch 2/30")
    return process


def assert_goes_on() -> None:
    """Assert that the slow run's trial goes on from where it was and ends."""
    fault_models.SLOW.unlink()
    assert "epoch 1/30" not in run("suite.yaml", "--nproc", "2", "--placement", "ddp")
    (record,) = records().values()
    assert len(record.epochs) == 30


def test_a_second_interrupt_loses_nothing(tmp_path: Path) -> None:
    process = slow_run()
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)  # as fast as one can
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130, output
    (error,) = errors_in(output)
    assert error.startswith("error: interrupted by SIGINT")
    wait_for_all_to_end(tmp_path)
    assert_goes_on()


IN_A_TERMINAL = """\
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
if sys.argv[1] == "deaf":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.execvp(sys.argv[2], sys.argv[2:])
"""


def slow_run_in_a_terminal(hearing: str) -> subprocess.Popen[bytes]:
    """Start a run that trains slowly in a terminal of its own; close that when its second epoch is over."""
    Path("suite.yaml").write_text(SLOW, encoding="utf-8")
    fault_models.SLOW.touch()
    ours, theirs = os.openpty()
    command = [sys.executable, "-c", IN_A_TERMINAL, hearing, *HARNESS, "suite.yaml"]
    command += ["--nproc", "2", "--placement", "ddp"]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    seen = b""
    while b"epoch 2/30" not in seen:
        seen += os.read(ours, 65536)  # an error where the run has ended
    os.close(ours)
    return process


def test_a_terminal_that_is_closed_ends_the_run_in_order(tmp_path: Path) -> None:
    process = slow_run_in_a_terminal("hearing")
    assert process.wait(timeout=120) == 128 + signal.SIGHUP
    wait_for_all_to_end(tmp_path)
    assert_goes_on()


def test_a_run_that_was_disowned_outlives_its_terminal() -> None:
    process = slow_run_in_a_terminal("deaf")
    fault_models.SLOW.unlink()
    assert process.wait(timeout=120) == 0
    (record,) = records().values()
    assert record.status == "done"
    assert not record.attempts


def test_a_run_that_ignores_hang_ups_outlives_its_terminal() -> None:
    process = slow_run("nohup")
    for pid in (process.pid, *workers(process)):
        os.kill(pid, signal.SIGHUP)
    fault_models.SLOW.unlink()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert [record.status for record in records().values()] == ["done"]


def test_a_trial_that_lacks_memory_takes_no_other_with_it() -> None:
    fault_models.OPEN.touch()
    names = ("out_of_memory", "limited_memory")
    lines = "".join(f"  {name}: {{model: {{name: 'tests.support.fault_models:{name}'}}}}\n" for name in names)
    Path("suite.yaml").write_text(GATED.replace("experiments:\n", f"experiments:\n{lines}"), encoding="utf-8")
    output = run("suite.yaml", "--nproc", "1", code=1)
    found = records()
    assert {name: record.status for name, record in found.items()} == {
        "gated 1": "done",
        "limited_memory 1": "failed",
        "out_of_memory 1": "failed",
    }
    assert _last_line(found["out_of_memory 1"]) == "torch.OutOfMemoryError: a made-up lack of memory"
    assert _last_line(found["limited_memory 1"]) == "MemoryError"
    assert output.count("placement: ") == 1
    assert "small/limited_memory/seed-1: failed, MemoryError" in output
    assert output.index("failed, MemoryError") < output.index("small/gated/seed-1: done")


def _last_line(record: Record) -> str:
    (attempt,) = record.attempts
    return attempt.error.strip().splitlines()[-1]
