"""The drill: a trial that is broken off in any way leaves the record that it would have left."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.config.loader import load_suite
from harness.runner import fault_drill
from harness.runner.fault_drill import DrillOutcome, FaultDrill, interruptions, not_tried
from harness.runner.launch import torchrun
from harness.training.gpus import Gpus
from tests.support.commands import call
from tests.support.forks import Started, ranks_of
from tests.support.runs import SUITE


@pytest.fixture
def _forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the runs, which the drill starts anew."""

    def start(command: Sequence[str], *, env: Mapping[str, str], **_: object) -> Started:
        return Started(command, env=env)

    monkeypatch.setattr(fault_drill, "subprocess", SimpleNamespace(Popen=start, PIPE=None, STDOUT=None))
    monkeypatch.setattr(fault_drill, "children", ranks_of)


@pytest.mark.usefixtures("_forked")
def test_a_trial_survives_ways_to_break_it_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = {"SIGKILL of one rank", "SIGTERM, another world size"}  # the others: test_kills, test_killed_runs
    monkeypatch.setattr(
        "harness.runner.fault_drill.interruptions",
        lambda ranks, most: [
            interruption for interruption in interruptions(ranks, most) if interruption.name in some
        ],
    )
    Path("suite.yaml").write_text(SUITE.replace("epochs: 2", "epochs: 10"), encoding="utf-8")
    trial = next(load_suite(Path("suite.yaml")).trials())
    arguments = [
        "--only",
        trial.experiment,
        "--seeds",
        str(trial.seed),
        "--checkpoint-every",
        "1s",
        "suite.yaml",
    ]
    same, other = FaultDrill(trial, arguments, 2, folder / "drill", os.environ).outcomes()
    assert same.difference == 0.0
    assert other.ranks == "2 ranks, then 1"
    assert other.difference is not None
    assert other.difference <= 1e-9
    assert {outcome.name for outcome in (same, other)} == some


def test_what_differs_is_said_so() -> None:
    assert str(DrillOutcome("SIGTERM", "2 ranks", 0.001, is_equal=False)).endswith(
        "DIFFERS, by 1.0e-03 at most"
    )
    assert "more --epochs help" in str(DrillOutcome("SIGTERM", "2 ranks", None, is_equal=True))


@pytest.mark.usefixtures("_forked")
def test_it_says_what_its_runs_said_when_they_fail(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("suite.yaml").write_text(SUITE, encoding="utf-8")
    arguments = ("drill", "suite.yaml", "--data-dir", str(folder), "--set", "dataset.name=mnist")
    code, _, error = call(arguments, monkeypatch, capsys)
    assert code == 1
    assert "error: a run of the drill ended with exit code 2:" in error


def test_one_gpu_is_drilled_with_one_rank_and_what_it_cannot_try_is_said() -> None:
    names = [interruption.name for interruption in interruptions(1, most=1)]
    assert "SIGTERM" in names
    assert all(interruption.ranks == interruption.then == 1 for interruption in interruptions(1, most=1))
    assert not_tried(2, 2) == not_tried(2, None) == []
    killed, resized = not_tried(1, 1)
    assert not_tried(1, None) == not_tried(1, 4) == [killed.replace("1 GPU", "1 rank")]
    assert killed == "SIGKILL of one rank              not tried, it needs 2 ranks: found 1 GPU"
    assert resized == "SIGTERM, another world size      not tried, it needs 2 ranks: found 1 GPU"


@pytest.mark.parametrize(("gpus", "ranks"), [(0, 2), (1, 1), (4, 2)])
def test_the_command_starts_as_many_ranks_as_there_are_gpus_and_two_at_most(
    gpus: int, ranks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(SUITE, encoding="utf-8")
    started: list[tuple[int, int | None]] = []

    def outcomes(drill: FaultDrill) -> Iterator[DrillOutcome]:
        started.append((drill.ranks, drill.most))
        return iter(())

    monkeypatch.setattr(FaultDrill, "outcomes", outcomes)
    monkeypatch.setattr(torchrun, "find", lambda env: Gpus(("",) * gpus))
    done = CliRunner().invoke(app, ["drill", str(path)], catch_exceptions=False)
    assert started == [(ranks, gpus or None)]
    assert ("not tried" in done.output) == (ranks == 1)
