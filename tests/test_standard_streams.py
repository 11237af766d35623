"""Output that nobody reads changes no exit code and no file; without a GPU, torch or time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import standard_streams
from harness.results.store import Store
from tests.support import ROOT
from tests.support.records import SUITE, record_of, suite_of

HARNESS = f"{sys.executable} -m harness"
# How a shell takes a command's output away from it.
WAYS = {
    "pipe": "{command} | true",
    "both in a pipe": "{command} 2>&1 | true",
    "errors in a pipe": "{command} 2>&1 >/dev/null | true",
    "errors closed": "{command} 2>&- >/dev/null",
    "all closed": "{command} <&- >&- 2>&-",
    "full": "{command} >/dev/full 2>&1",
}
COMMANDS = {
    "plan suite.yaml": 0,
    "status": 1,
    "report --check": 1,
    "compare small/one small/two": 1,
    "plan none.yaml": 2,
    "run --timeout inf": 2,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a suite and records, of which one is unreadable."""
    folder = tmp_path_factory.mktemp("streams")
    store, suite = Store(folder / "results"), suite_of(folder, SUITE + "table: {figures: false}\n")
    store.save_suite(suite)
    for trial in suite.trials():
        store.save(trial, record_of(trial, 0.8 + trial.seed / 1000))
    store.record_path(trial).write_text("{", encoding="utf-8")
    return folder


def shell(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"{text}\nexit ${{PIPESTATUS[0]}}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.e2e
@pytest.mark.parametrize("command", COMMANDS)
def test_exit_codes_do_not_depend_on_a_reader(command: str, folder: Path) -> None:
    found = {}
    for way in ("both in a pipe", "all closed"):
        done = shell(folder, WAYS[way].format(command=f"{HARNESS} {command}"))
        assert "Traceback" not in done.stderr
        found[way] = done.returncode
    assert found == dict.fromkeys(found, COMMANDS[command])


@pytest.mark.e2e
@pytest.mark.parametrize("way", ["pipe", "errors in a pipe", "errors closed", "full"])
def test_a_report_is_written_whole_all_the_same(way: str, folder: Path) -> None:
    table = folder / "results" / "small" / "table.md"
    table.unlink(missing_ok=True)
    shell(folder, WAYS[way].format(command=f"{HARNESS} report"))
    assert table.read_text(encoding="utf-8").startswith("## A small suite\n")
    assert "Made from 5 records" in table.read_text(encoding="utf-8")


def test_a_full_disk_is_told(folder: Path) -> None:
    done = shell(folder, f"{HARNESS} plan suite.yaml > /dev/full")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "standard output: No space left on device; the rest of it is lost\n"


def test_no_file_takes_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    program = (
        "from harness import standard_streams; standard_streams.guard()\n"
        "file = open('opened', 'w'); print('lost'); import sys; print('lost', file=sys.stderr)\n"
        "import os; os.write(1, b'lost'); os.write(2, b'lost'); sys.exit(file.fileno() < 3)"
    )
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    done = shell(tmp_path, f"{sys.executable} program.py <&- >&- 2>&-")
    assert done.returncode == 0
    assert (tmp_path / "opened").read_text(encoding="utf-8") == ""


def test_a_slow_reader_gets_everything(tmp_path: Path) -> None:
    program = (
        "from harness import standard_streams; standard_streams.guard()\n"
        "import os; os.set_blocking(1, False); print('x' * 1_000_000)"
    )
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    done = shell(tmp_path, f"{sys.executable} program.py | {{ read -n 1; wc -c; }}")
    assert (done.returncode, done.stdout.strip()) == (0, "1000000")


def test_streams_of_others_are_left(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    standard_streams.guard()
    assert sys.stdout is before
    assert standard_streams.raising(sys.stdout) is before
