"""How many ranks `harness scale` starts, and what it says before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.runner.launch import measuring, torchrun
from harness.runner.launch.torchrun import Ranks
from harness.runner.request import Request
from harness.training.gpus import Gpus
from tests.support.records import suite_of


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the number of ranks of each start, on a machine of 6 cores."""
    counts: list[int] = []

    def launch(arguments: Sequence[str], ranks: Ranks, max_restarts: int) -> None:
        counts.append(ranks.count)

    monkeypatch.setattr(torchrun, "launch", launch)
    monkeypatch.setattr(measuring, "check", lambda *arguments, **named: None)
    monkeypatch.setattr("harness.results.provenance.cores", lambda: 6)
    return counts


def scale(folder: Path, worlds: Sequence[int], device: str | None = "cpu") -> None:
    request = Request(suites=[suite_of(folder)], device=device)
    measuring.scaling(request, worlds, 1.0, [], {})


@pytest.mark.parametrize(("worlds", "count"), [([], 4), ([2], 2), ([1, 3, 6], 6)])
def test_as_many_ranks_start_as_the_largest_world_has(
    worlds: list[int],
    count: int,
    started: list[int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scale(tmp_path, worlds)
    assert started == [count]
    assert capsys.readouterr().err == ""


def test_more_ranks_than_cores_are_said_in_a_line(
    started: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scale(tmp_path, [8])
    assert started == [8]
    assert capsys.readouterr().err == "8 ranks on 6 cores: they take turns, and more cores would be faster\n"


def test_more_ranks_than_gpus_are_a_mistake_and_none_starts(
    started: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torchrun, "find", lambda env: Gpus(("", "")))
    with pytest.raises(UsageError, match="found 2 GPUs for 4 ranks here, expected one each"):
        scale(tmp_path, [1, 4], device=None)
    assert started == []
