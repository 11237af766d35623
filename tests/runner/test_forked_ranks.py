"""Ranks as forks of the launcher: when that is safe, and what torchrun's agent sees of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from harness.results.user_code_hash import UserCodes
from harness.runner.launch.forked_ranks import ForkedRank, Forks

FAR = 60.0  # only a test that fails waits so long


def rank(work: Callable[[], object], monkeypatch: pytest.MonkeyPatch, **env: str) -> ForkedRank:
    """Fork a rank whose program is `work`."""
    monkeypatch.setattr("harness.program.run", work)
    return ForkedRank(
        UserCodes(), [sys.executable, "-P", "program", "argument"], {"OMP_NUM_THREADS": "1", **env}
    )


def leave(code: object) -> Callable[[], object]:
    """Return a program that ends so."""

    def program() -> None:
        raise SystemExit(code)

    return program


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (None, 0), (3, 3), ("a message", 1)])
def test_its_exit_code_is_the_programs(code: object, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rank(leave(code), monkeypatch).wait(FAR) == expected


def test_an_error_is_told_and_ends_it_with_one(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert rank(lambda: 1 / 0, monkeypatch).wait(FAR) == 1
    assert "ZeroDivisionError: division by zero" in capfd.readouterr().err


def test_a_rank_that_became_another_program_is_waited_for_no_longer_than_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sleeping = rank(lambda: os.execvp("sleep", ["sleep", "60"]), monkeypatch)
    with pytest.raises(subprocess.TimeoutExpired):
        sleeping.wait(0.1)
    os.killpg(sleeping.pid, signal.SIGTERM)  # it leads a session, as torchrun's own
    assert sleeping.wait(FAR) == -signal.SIGTERM


def test_it_has_its_own_arguments_variables_and_no_handlers_of_the_launcher(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def program() -> None:
        assert sys.argv == ["program", "argument"]
        assert dict(os.environ) == {"OMP_NUM_THREADS": "2,1", "RANK": "7"}
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
        assert signal.getsignal(signal.SIGUSR2) == signal.SIG_IGN
        assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        assert rank(program, monkeypatch, OMP_NUM_THREADS="2,1", RANK="7").wait(FAR) == 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_ranks_are_no_forks_where_there_are_more_threads_or_what_a_library_reads_when_it_is_loaded() -> None:
    forks, end = Forks(UserCodes()), threading.Event()
    is_safe = forks.are_safe({"OMP_NUM_THREADS": "1"})
    assert is_safe == (threading.active_count() == 1)
    assert not forks.are_safe({"OMP_WAIT_POLICY": "passive"})
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        assert not forks.are_safe({})
    finally:
        end.set()
        thread.join()
