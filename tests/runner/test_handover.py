"""Suites that the ranks of a run are handed: what the command read, once, whatever the file says by then."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.config.loader import load_suite
from harness.config.suite import Suite
from harness.errors import LostRankError, SuiteError, UsageError
from harness.runner.launch import handover
from tests.support.records import SUITE, suite_of


@dataclass
class Shared:
    """What torchrun's store is to its ranks."""

    values: dict[str, str] = field(default_factory=dict)

    def set(self, key: str, text: str) -> None:
        self.values[key] = text

    def get(self, key: str) -> str | None:
        return self.values.get(key)


def never() -> list[Suite]:
    raise AssertionError("the file must not be read")


def read_of(*suites: Suite) -> Callable[[], list[Suite]]:
    return lambda: list(suites)


def test_launched_ranks_and_restarts_train_what_was_left_for_rank_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Shared()
    monkeypatch.setattr("harness.training.distributed.run_store", lambda *_: store)
    env = {"TORCHELASTIC_RUN_ID": "1", "TORCHELASTIC_USE_AGENT_STORE": "True", "HARNESS_LAUNCHED": "2"}
    suites = [suite_of(tmp_path)]
    with handover.handed_over(suites, env):
        (tmp_path / "suite.yaml").write_text("no suite", encoding="utf-8")
        left = Path(env["HARNESS_SUITES"])
        for rank in ("0", "1", "0"):
            assert handover.suites_to_train(never, {**env, "RANK": rank}, 60.0) == suites
        assert not left.exists()  # whatever becomes of the command
    assert "HARNESS_SUITES" not in env
    assert not left.parent.exists()


def test_without_a_store_that_lasts_every_start_reads_what_was_left(tmp_path: Path) -> None:
    env, suites = {"TORCHELASTIC_RUN_ID": "1", "HARNESS_LAUNCHED": "2", "RANK": "0"}, [suite_of(tmp_path)]
    with handover.handed_over(suites, env):
        for _ in range(2):
            assert handover.suites_to_train(never, env, 60.0) == suites


def test_an_error_of_the_run_is_no_error_of_the_handover(tmp_path: Path) -> None:
    with pytest.raises(BlockingIOError), handover.handed_over([suite_of(tmp_path)], {}):
        raise BlockingIOError


def test_without_a_place_for_them_the_run_does_not_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(UsageError, match="TMPDIR"), handover.handed_over([suite_of(tmp_path)], {}):
        pass


def test_outside_of_a_run_the_files_are_read() -> None:
    assert handover.suites_to_train(list, {"HARNESS_SUITES": "left by another"}, 1.0) == []


def test_all_ranks_and_restarts_train_what_rank_0_read_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "_PART", 100)
    store, suite = Shared(), suite_of(tmp_path)
    found: list[list[Suite]] = []
    other = threading.Thread(
        target=lambda: found.append(handover.agreed(never, store, 60.0, is_rank_zero=False))
    )
    other.start()
    assert handover.agreed(read_of(suite), store, 60.0, is_rank_zero=True) == [suite]
    other.join(60)
    assert found == [[suite]]
    assert handover.agreed(never, store, 60.0, is_rank_zero=True) == [suite]  # a restart


def test_a_job_that_is_queued_again_trains_what_its_first_start_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = suite_of(tmp_path)
    env = {"TORCHELASTIC_RUN_ID": "7.0", "TORCHELASTIC_USE_AGENT_STORE": "True", "RANK": "0"}
    env["HARNESS_JOB_SUITES"] = str(tmp_path / ".jobs" / "7.suites.json")
    for read in (read_of(suite), never):
        monkeypatch.setattr("harness.training.distributed.run_store", lambda *_: Shared())
        assert handover.suites_to_train(read, env, 60.0) == [suite]


def test_a_mistake_that_rank_0_finds_is_every_ranks() -> None:
    def wrong() -> list[Suite]:
        raise SuiteError(["suite.yaml:1: wrong"])

    store = Shared()
    with pytest.raises(SuiteError, match="wrong"):
        handover.agreed(wrong, store, 60.0, is_rank_zero=True)
    with pytest.raises(UsageError, match=r"suite\.yaml:1: wrong"):
        handover.agreed(never, store, 60.0, is_rank_zero=False)


def test_a_rank_does_not_wait_for_ever() -> None:
    with pytest.raises(LostRankError, match="rank 0 did not say"):
        handover.agreed(never, Shared(), 0.0, is_rank_zero=False)


def test_an_edit_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    suite = suite_of(tmp_path)
    assert not list(handover.edited([suite]))
    Path("suite.yaml").write_text(SUITE + "# edited\n", encoding="utf-8")
    ((folder, sentence),) = handover.edited([suite])
    assert (folder, sentence.partition(":")[0]) == ("small", "suite.yaml has been edited")
    assert not list(handover.edited([suite], {folder}))
    assert not list(handover.edited([load_suite(Path("suite.yaml"))]))
    os.remove("suite.yaml")
    assert not list(handover.edited([suite]))
