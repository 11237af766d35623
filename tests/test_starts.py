"""Starts of ranks that ended before they trained: when one more is of no use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.environment import STARTS
from harness.errors import UsageError
from harness.starts import Starts, given_up
from tests.support import ROOT
from tests.support.commands import call


@pytest.fixture(autouse=True)
def _pytests_own_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("enable", "disable"):
        monkeypatch.setattr(f"faulthandler.{name}", lambda *_: None)


def trains(starts: Starts) -> None:
    with starts.watched():
        starts.has_trained()
        raise ZeroDivisionError


def start(folder: Path, number: int, how: BaseException | str) -> bool:
    """Start and end as said; return whether it was done at all."""
    starts = Starts.of({STARTS: str(folder), "TORCHELASTIC_RESTART_COUNT": str(number)})
    assert starts is not None
    if starts.is_hopeless:
        return False
    if isinstance(how, BaseException):
        with pytest.raises(type(how)), starts.watched():
            raise how
    elif how == "trains":
        with pytest.raises(ZeroDivisionError):
            trains(starts)
    else:  # ended by a signal
        (folder / f"{number}.begun").touch()
    return True


IMPORT, OTHER = ImportError("libcudart.so.12: cannot open"), OSError("no such device")
USAGE, TOLD = SystemExit(2), SystemExit(1)


@pytest.mark.parametrize(
    ("ends", "done", "reason"),
    [
        ([IMPORT, IMPORT, IMPORT], 2, "ImportError: libcudart.so.12: cannot open"),
        ([USAGE, USAGE, USAGE], 2, "exit code 2"),
        ([IMPORT, OTHER, IMPORT, IMPORT], 3, "ImportError: libcudart.so.12: cannot open"),
        ([IMPORT, OTHER, OTHER, OTHER], 3, "OSError: no such device"),
        ([IMPORT, "trains", IMPORT, OTHER, "trains", IMPORT, IMPORT, IMPORT], 7, "ImportError"),
        ([TOLD] * 9, 9, None),  # a lost rank, a GPU in use: it is told, and may be over
        (["trains"] * 9, 9, None),
        (["killed", "killed", "killed", "killed"], 3, "without a message, perhaps by the system"),
        (["killed", "trains", "killed", "killed", "trains"], 5, None),
        ([SystemExit(0)], 1, None),
    ],
)
def test_what_cannot_get_better_is_not_started_again(
    tmp_path: Path, ends: list[BaseException | str], done: int, reason: str | None
) -> None:
    assert [start(tmp_path, number, how) for number, how in enumerate(ends)].count(True) == done
    found = given_up(tmp_path)
    assert found == reason if reason is None else (found or "").startswith(reason)


def test_a_fault_of_the_process_is_a_reason(tmp_path: Path) -> None:
    """As where torch was built for another processor."""
    code = "import os, harness.starts as s\nwith s.Starts.of(os.environ).watched(): os.kill(os.getpid(), 4)"
    for number in "01":
        env = {"PYTHONPATH": str(ROOT), STARTS: str(tmp_path), "TORCHELASTIC_RESTART_COUNT": number}
        done = subprocess.run([sys.executable, "-c", code], env=env, check=False, capture_output=True)
        assert done.returncode == -4
    assert not start(tmp_path, 2, IMPORT)
    assert given_up(tmp_path) == "Fatal Python error: Illegal instruction"


def test_without_our_launcher_nothing_is_watched() -> None:
    assert Starts.of({"TORCHELASTIC_RESTART_COUNT": "3"}) is None


@pytest.mark.parametrize("arguments", [("run", "--no-such-option"), ("run",), ("no-such-command",)])
def test_torchrun_does_not_restart_ranks_for_a_wrong_argument(
    arguments: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(arguments, monkeypatch, capsys)[0] == UsageError.exit_code
    for name, value in {"RANK": "0", "TORCHELASTIC_MAX_RESTARTS": "3"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HARNESS_JOB_FILES", str(tmp_path / "17.0"))
    code, _, error = call(arguments, monkeypatch, capsys)
    assert (code, os.listdir(tmp_path)) == (0, ["17.0.outcome"])
    assert "Usage" in error


def test_a_command_that_a_rank_starts_does_not_end_with_it() -> None:
    env = {**os.environ, "TORCHELASTIC_RUN_ID": "x", "HARNESS_LAUNCHED": "1", "HARNESS_RANK_PROCESS": "1"}
    command = [sys.executable, "-m", "harness", "schema"]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout[:1]) == (0, "{")
