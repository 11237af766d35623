"""What becomes of a trial that raised an error."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from harness.runner import recovery
from harness.runner.placement import Execution
from harness.runner.recovery import Recovery
from tests.support.trials import small_trial

LACK = torch.OutOfMemoryError("a made-up lack of memory")
SPREAD = Execution(placement="spread", trials_per_device=4)


class Told:
    """The keys of a run."""

    def __init__(self) -> None:
        self.keys: dict[str, str] = {}

    def set(self, key: str, text: str) -> None:
        self.keys[key] = text

    def get(self, key: str) -> str | None:
        return self.keys.get(key)


def made(running: int, said: list[str], device: str = "cuda", run: Told | None = None) -> Recovery:
    """Make one of a rank that trains so many trials of other experiments beside the trial in question."""
    run_ranks: Any = SimpleNamespace(run=run or Told(), device=torch.device(device))
    heartbeat: Any = SimpleNamespace(events=SimpleNamespace(note=said.append))
    found = Recovery(run_ranks, heartbeat, cast(Any, None))
    found.running = {f"trial {number}": (SPREAD, "") for number in range(running - 1)}
    found.running[small_trial().key] = SPREAD, ""
    return found


def test_a_trial_that_lacks_memory_beside_others_waits_until_there_are_fewer() -> None:
    said: list[str] = []
    run = Told()
    for running, at_most in ((4, 3), (3, 2), (4, 2)):
        found = made(running, said, run=run)
        assert found._is_left_for_later(small_trial(), LACK)
        assert found.at_most == at_most
    assert made(1, said, run=run).at_most == 2  # in a process that was started again
    key = small_trial().key
    assert said[0] == f"{key}: out of memory with 4 trials at once: it is trained later, with 3 at most"


def test_a_trial_alone_that_lacks_memory_is_trained_again_eagerly_and_then_fails() -> None:
    said: list[str] = []
    found, trial = made(1, said), small_trial()
    assert found.engine_of(trial) is None
    assert found._is_left_for_later(trial, LACK)
    assert said[0].endswith(": its experiment is trained eagerly from here on, as graphs take memory")
    assert found.engine_of(trial) == "eager"
    assert not found._is_left_for_later(trial, LACK)
    assert not made(1, said, device="cpu")._is_left_for_later(trial, LACK)
    compiled = made(1, said)
    compiled.running[trial.key] = SPREAD.model_copy(update={"engine": "compiled"}), ""
    assert compiled._is_left_for_later(trial, LACK)


def test_an_error_after_a_broken_capture_is_not_the_trials_own_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    found, trial, error = made(2, said), small_trial(), RuntimeError("a made-up error")
    assert not found._is_left_for_later(trial, error)
    monkeypatch.setattr(recovery, "is_spoiled", lambda: True)
    assert found._is_left_for_later(trial, error)
    assert not found._is_left_for_later(trial, error)
    assert len(said) == 1
