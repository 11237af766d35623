"""User code that a run started with, and a process that finds other code."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config.suite import Trial
from harness.model_libraries import LIBRARIES
from harness.results.user_code_hash import UserCodes
from harness.runner.request import Request
from harness.runner.run_code import ChangedCodeError, CodeGuard, RunCode
from tests.results.test_user_code_hash import OWN
from tests.support.records import record_of, suite_of


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.chdir(tmp_path)
    Path("net").mkdir()
    Path("net/own.py").write_text("act = 1", encoding="utf-8")
    return next(suite_of(tmp_path, OWN).trials())


@pytest.fixture
def started(trial: Trial, tmp_path: Path) -> RunCode:
    return RunCode.of(Request(suites=[suite_of(tmp_path, OWN)]), UserCodes())


def edit() -> None:
    Path("net/own.py").write_text("act = 2", encoding="utf-8")


def test_unchanged_code_is_trained(trial: Trial, started: RunCode) -> None:
    guard = CodeGuard(UserCodes(), started)
    assert guard.refusal(trial) == ""
    guard.confirm(trial)


def test_a_restarted_process_refuses_other_code(trial: Trial, started: RunCode) -> None:
    edit()
    reason = CodeGuard(UserCodes(), started).refusal(trial)
    assert reason.startswith("the user's code has changed since the run started: found the hash ")
    assert "Run the same command again" in reason


def test_a_process_that_was_started_before_the_code_was_put_back_refuses(
    trial: Trial, started: RunCode
) -> None:
    edit()
    codes = UserCodes()
    codes.hash_of(trial)
    Path("net/own.py").write_text("act = 1", encoding="utf-8")
    assert CodeGuard(codes, started).refusal(trial)


def test_a_model_that_is_in_memory_trains_on(trial: Trial, started: RunCode) -> None:
    guard = CodeGuard(UserCodes(), started)
    guard.confirm(trial)
    edit()
    assert guard.refusal(trial) == ""


def test_an_edit_while_the_model_is_built_is_found(trial: Trial, started: RunCode) -> None:
    guard = CodeGuard(UserCodes(), started)
    assert guard.refusal(trial) == ""
    edit()
    with pytest.raises(ChangedCodeError):
        guard.confirm(trial)


def test_a_missing_module_is_other_code(trial: Trial, started: RunCode) -> None:
    Path("net/own.py").unlink()
    assert "found a module missing" in CodeGuard(UserCodes(), started).refusal(trial)


def test_a_record_tells_what_the_run_started_with(trial: Trial, started: RunCode) -> None:
    edit()
    versions = started.versions(trial, record_of(trial).versions)
    assert versions.user_code == started.user_code["small/one"] != UserCodes().hash_of(trial)
    assert versions.numerics == 1


def test_a_record_tells_the_version_of_its_models_library(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, OWN.replace("net.own:net", "torchvision:resnet18"))
    started, common = (
        RunCode.of(Request(suites=[suite]), UserCodes()),
        record_of(next(suite.trials())).versions,
    )
    found = {trial.experiment: started.versions(trial, common) for trial in suite.trials()}
    assert found["one"].model_library == LIBRARIES[0].distribution
    assert len(found["one"].user_code or "") == 64
    assert (found["two"].model_library, found["two"].user_code) == (None, None)
